//! `tidings user delete`

use clap::Args;

use crate::cli::output::{Field, Piece, Record, View};
use crate::cli::{Context, ERASURE_OF_ACCOUNTS, Outcome, counted};
use crate::model::{Receipt, UserSelector};
use crate::service;
use crate::store::Tx;

/// Delete users with all their data, and show one receipt; this cannot be undone
///
/// Deletes every message they sent or received with its history, their notifications and those about these messages,
/// their direct conversations, and groups that nobody is left in. Keeps what others wrote in groups without a receiver.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings user delete alice --dry-run\n  tidings user delete alice bob --yes")]
pub(in crate::cli) struct Delete {
    /// Ids, usernames or emails
    #[arg(value_name = "USER", required = true)]
    users: Vec<UserSelector>,
}

impl Delete {
    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        let delete = |tx: &mut Tx<'_>| {
            let actor = context.actor(tx)?;
            service::accounts::delete(tx, &actor, &self.users)
        };
        let receipt = context.destroy(delete, |receipt| {
            let Receipt { messages_sent, messages_received, direct_conversations, .. } = receipt;
            let sent = counted(*messages_sent, "message");
            let direct = counted(*direct_conversations, "direct conversation");
            let question = format!(
                "Delete {}: {sent}, {messages_received} that others sent to them, {direct}. For good?",
                accounts_of(receipt)
            );
            let name = match receipt.users.as_slice() {
                [only] => only.username.clone(),
                users => format!("{} users", users.len()),
            };
            Some((question, name))
        })?;
        let messages =
            counted(receipt.messages_sent + receipt.messages_received + receipt.messages_of_groups, "message");
        context.status(&format!("Deleted {} and {messages}.", accounts_of(&receipt)));
        let shown = context.out.show(&receipt);
        context.erase(shown, ERASURE_OF_ACCOUNTS)
    }
}

/// `the user alice`, `the users alice, bob`
fn accounts_of(receipt: &Receipt) -> String {
    let names: Vec<&str> = receipt.users.iter().map(|user| user.username.as_str()).collect();
    let noun = if names.len() == 1 { "user" } else { "users" };
    format!("the {noun} {}", names.join(", "))
}

impl Record for Receipt {
    const FIELDS: &'static [Field] = &[
        Field::Value("deleted_at"),
        Field::Value("users"),
        Field::Value("messages_sent"),
        Field::Value("messages_received"),
        Field::Value("messages_of_groups"),
        Field::Value("tombstones"),
        Field::Value("revisions"),
        Field::Value("notifications"),
        Field::Value("participations"),
        Field::Value("direct_conversations"),
        Field::Value("groups"),
        Field::Value("tokens"),
        Field::Value("sessions"),
    ];
    const COLUMNS: &'static [&'static str] = &[
        "users",
        "ids",
        "deleted",
        "messages sent",
        "messages received",
        "messages of groups that ended",
        "kept as tombstones",
        "revisions",
        "notifications",
        "participations",
        "direct conversations",
        "groups that ended",
        "tokens",
        "sessions",
    ];

    fn ids(&self) -> Vec<String> {
        self.users.iter().map(|user| user.user_id.to_string()).collect()
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        let counts = [
            self.messages_sent,
            self.messages_received,
            self.messages_of_groups,
            self.tombstones,
            self.revisions,
            self.notifications,
            self.participations,
            self.direct_conversations,
            self.groups,
            self.tokens,
            self.sessions,
        ];
        let names: Vec<&str> = self.users.iter().map(|user| user.username.as_str()).collect();
        let mut cells =
            vec![Piece::Address(names.join(", ")), Piece::Faint(self.ids().join(", ")), Piece::Time(self.deleted_at)];
        // What nothing went of is not worth a line.
        cells.extend(counts.map(|count| if count == 0 { String::new() } else { count.to_string() }.into()));
        cells
    }
}
