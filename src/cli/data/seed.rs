//! `tidings data seed`

use clap::Args;

use crate::cli::progress::Progress;
use crate::cli::{Context, Outcome, choice};
use crate::error::Error;
use crate::transfer::load::Failure;
use crate::transfer::seed::{self, Language, Plan};

/// Create realistic users, conversations and messages
///
/// The same options, --seed and --now make the same data on every machine. Without --now the times count back from the
/// clock, so repeating the command later in the same database is a conflict. Another --seed makes other data, with
/// names that end in the seed, so that several fit into one database. With few users, lower --conversations too: two
/// users have one direct conversation, and a group has at least three participants unless --group-size says otherwise.
/// No user has a password.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings data seed --users 20 --conversations 10 --messages 500\n  \
    tidings data seed --messages 100000 --language de --seed 7 --now 2026-01-01\n  \
    tidings data seed --users 2 --conversations 1 --direct 100")]
pub(in crate::cli) struct Seed {
    /// How many users
    #[arg(long, value_name = "N", default_value_t = Plan::default().users)]
    users: u32,

    /// How many conversations
    #[arg(long, value_name = "N", default_value_t = Plan::default().conversations)]
    conversations: u32,

    /// How many messages
    #[arg(long, value_name = "N", default_value_t = Plan::default().messages)]
    messages: u64,

    /// The smallest and the largest number of participants in a group
    #[arg(long, value_name = "MIN-MAX", default_value = "3-12", value_parser = range)]
    group_size: (u32, u32),

    /// How many percent of the conversations are direct
    #[arg(long, value_name = "PERCENT", default_value_t = Plan::default().direct, value_parser = percent())]
    direct: u8,

    /// How many percent of the messages are replies
    #[arg(long, value_name = "PERCENT", default_value_t = Plan::default().replies, value_parser = percent())]
    replies: u8,

    /// How many percent of the messages were edited
    #[arg(long, value_name = "PERCENT", default_value_t = Plan::default().edits, value_parser = percent())]
    edits: u8,

    /// About how many percent of the notifications are read
    #[arg(long, value_name = "PERCENT", default_value_t = Plan::default().read, value_parser = percent())]
    read: u8,

    /// How many days back from now the data begins
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    days: u64,

    /// The language of names and texts
    #[arg(long, value_name = "LANGUAGE", default_value = "en", value_parser = choice::<Language>())]
    language: Language,
}

fn percent() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(0..=100)
}

/// Reads `3-12`, or `5` for groups of the same size.
fn range(text: &str) -> Result<(u32, u32), &'static str> {
    let (fewest, most) = text.split_once('-').unwrap_or((text, text));
    fewest.parse().ok().zip(most.parse().ok()).ok_or("not a range like 3-12")
}

impl Seed {
    /// The plan, checked; its seed and its time come from the database's options.
    pub(super) fn plan(&self) -> Result<Plan, Error> {
        let plan = Plan {
            users: self.users,
            conversations: self.conversations,
            messages: self.messages,
            group_size: self.group_size,
            direct: self.direct,
            replies: self.replies,
            edits: self.edits,
            read: self.read,
            span: self.days * 24 * 60 * 60,
            language: self.language,
            ..Plan::default()
        };
        plan.check()?;
        Ok(plan)
    }

    pub(super) fn run(&self, context: &mut Context<'_>) -> Outcome {
        let plan = Plan { seed: context.app.seed().unwrap_or(0), now: context.app.now(), ..self.plan()? };
        let actor = context.app.read(|tx| context.actor(tx))?;
        let progress = Progress::begin(context.out, "Making up");
        let made = seed::seed(&context.app, &actor, &plan, &mut |done| {
            progress.doing_part("Making up", done, plan.messages);
        });
        drop(progress);
        let made = made.map_err(|failure| match failure {
            Failure::Error(error) => error,
            Failure::Problems(_) | Failure::Behind(..) => Error::conflict(format!(
                "Some of what the seed {} makes up exists already, with differences.",
                plan.seed
            ))
            .hint("Use another --seed for other data; the same --seed and --now make the same data again."),
        })?;
        context.status(&format!("Made up the data of the seed {}.", plan.seed));
        Ok(context.out.show(&made)?)
    }
}
