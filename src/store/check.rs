//! Whether the database keeps its own rules: every number derived from rows, every tombstone, every folded name.

use serde::Serialize;
use uuid::Uuid;

use super::{Misfolded, Strange, Tx, conversations, maintenance, users};
use crate::error::Result;
use crate::model::Task;

/// How many names are folded and compared at a time
const BATCH: i64 = 1000;

/// How many examples a problem names
const EXAMPLES: usize = 3;

const FROM_BACKUP: &str = "Restore a backup that passes `tidings db check`: tidings db restore FILE";

/// A violated rule, with examples and a remedy.
#[derive(Debug, Serialize)]
pub struct Violation {
    /// The rule, as programs know it
    pub check: &'static str,
    /// How often it is broken
    pub problems: i64,
    /// What is wrong, with the first examples
    pub detail: String,
    /// What to do about it
    pub remedy: &'static str,
}

impl Violation {
    /// What an engine says of its own files.
    pub(crate) fn of_engine(check: &'static str, found: &[String]) -> Option<Self> {
        let problems = i64::try_from(found.len()).unwrap_or(i64::MAX);
        (problems > 0).then(|| Self {
            check,
            problems,
            detail: with_more(found.iter().take(EXAMPLES).cloned().collect(), problems, "; "),
            remedy: FROM_BACKUP,
        })
    }

    /// Foreign or changed objects in a file, which might run by themselves.
    pub(crate) fn of_schema(strange: &[Strange]) -> Option<Self> {
        let found: Vec<String> =
            strange.iter().filter(|strange| !strange.is_harmless).map(|strange| strange.what.clone()).collect();
        Some(Self {
            remedy: "Load a dump into a new database (tidings data dump, tidings data load --db NEW), and ask who did it",
            ..Self::of_engine("schema", &found)?
        })
    }

    /// Whether search knows every message, and no deleted one; nothing while older messages are still being indexed.
    pub(crate) fn of_search(tx: &mut Tx<'_>) -> Result<Option<Self>> {
        if maintenance::pending(tx)?.iter().any(|pending| pending.task == Task::Index) {
            return Ok(None);
        }
        let (unknown, deleted) = maintenance::unsound_entries(tx)?;
        Ok((unknown + deleted > 0).then(|| Self {
            check: "search",
            problems: unknown + deleted,
            detail: format!("{unknown} messages are not indexed, and {deleted} deleted ones are"),
            remedy: "Repair the index: tidings db compact",
        }))
    }

    /// A rule that could not be looked at, because the database cannot be read there.
    pub(crate) fn unreadable(check: &'static str, why: &str) -> Self {
        Self { check, problems: 1, detail: format!("could not be checked: {why}"), remedy: FROM_BACKUP }
    }
}

/// The first few of many, with how many more there are
fn with_more(mut examples: Vec<String>, problems: i64, separator: &str) -> String {
    let more = problems - i64::try_from(examples.len()).unwrap_or(0);
    if let (1.., Some(last)) = (more, examples.last_mut()) {
        last.extend([format!(" and {more} more")]);
    }
    examples.join(separator)
}

/// A rule, and the statement that finds its violations: ids, each with the total number
pub struct Rule {
    /// The rule, as programs know it
    pub check: &'static str,
    wrong: &'static str,
    subject: &'static str,
    remedy: &'static str,
    sql: &'static str,
}

impl Rule {
    /// What breaks the rule.
    pub fn problem(&self, tx: &mut Tx<'_>) -> Result<Option<Violation>> {
        let found: Vec<(Uuid, i64)> = tx.all(self.sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(self.problem_of(found.iter().map(|(id, _)| *id), found.first().map_or(0, |(_, problems)| *problems)))
    }

    fn problem_of(&self, found: impl Iterator<Item = Uuid>, problems: i64) -> Option<Violation> {
        let examples = found.take(EXAMPLES).map(|id| id.hyphenated().to_string()).collect();
        (problems > 0).then(|| Violation {
            check: self.check,
            problems,
            detail: format!("{}: {} {}", self.wrong, self.subject, with_more(examples, problems, ", ")),
            remedy: self.remedy,
        })
    }
}

/// A statement that gives the first few of the ids that a query finds, and behind each how many it finds.
macro_rules! broken {
    ($query:literal) => {
        concat!(
            "SELECT id, count(*) OVER () FROM (",
            $query,
            ") AS broken LIMIT 3 /* scans: the operator asks for every row to be checked */"
        )
    };
}

/// The rules that one statement can check
pub const RULES: &[Rule] = &[
    Rule {
        check: "message_count",
        wrong: "has a wrong message count",
        subject: "conversation",
        remedy: "Stop servers, and correct the count in SQL: UPDATE conversation SET message_count = (SELECT count(*) FROM message \
                 WHERE conversation_key = conversation.key AND sender_key IS NOT NULL)",
        sql: broken!(
            "SELECT conversation.id FROM conversation WHERE message_count <>
                 (SELECT count(*) FROM message
                  WHERE message.conversation_key = conversation.key AND message.sender_key IS NOT NULL)"
        ),
    },
    Rule {
        check: "last_number",
        wrong: "would use a number again, or has one below 1",
        subject: "conversation",
        remedy: "Take the highest number, in SQL: UPDATE conversation SET last_number = (SELECT max(number) \
                 FROM message WHERE conversation_key = conversation.key) WHERE last_number < (SELECT max(number) \
                 FROM message WHERE conversation_key = conversation.key)",
        sql: broken!(
            "SELECT conversation.id FROM conversation
             WHERE last_number < coalesce((SELECT max(number) FROM message
                                           WHERE message.conversation_key = conversation.key), 0)
                OR coalesce((SELECT min(number) FROM message
                             WHERE message.conversation_key = conversation.key), 1) < 1"
        ),
    },
    Rule {
        check: "active_at",
        wrong: "has a later message than its last activity",
        subject: "conversation",
        remedy: "Take the newest time, in SQL: UPDATE conversation SET active_at = (SELECT max(sent_at) FROM message \
                 WHERE conversation_key = conversation.key) WHERE active_at < (SELECT max(sent_at) FROM message \
                 WHERE conversation_key = conversation.key)",
        sql: broken!(
            "SELECT conversation.id FROM conversation
             WHERE active_at < created_at
                OR active_at < coalesce((SELECT max(sent_at) FROM message
                                         WHERE message.conversation_key = conversation.key), active_at)"
        ),
    },
    Rule {
        check: "direct_conversation",
        wrong: "is direct, but does not consist of its two people, or has a name or title",
        subject: "conversation",
        remedy: FROM_BACKUP,
        sql: broken!(
            "SELECT conversation.id FROM conversation WHERE kind = 0
                 AND (name IS NOT NULL OR name_folded IS NOT NULL OR title IS NOT NULL
                      OR creator_key NOT IN (lower_user_key, higher_user_key)
                      OR 2 <> (SELECT count(*) FROM participant
                               WHERE participant.conversation_key = conversation.key
                                 AND user_key IN (lower_user_key, higher_user_key))
                      OR 2 <> (SELECT count(*) FROM participant
                               WHERE participant.conversation_key = conversation.key))"
        ),
    },
    Rule {
        check: "group",
        wrong: "is a group without participants",
        subject: "conversation",
        remedy: "Delete it: tidings conversation delete CONV",
        sql: broken!(
            "SELECT conversation.id FROM conversation WHERE kind = 1 AND NOT EXISTS
                 (SELECT 1 FROM participant WHERE participant.conversation_key = conversation.key)"
        ),
    },
    Rule {
        check: "revision",
        // A revision may be missing: it goes with the account of its author.
        wrong: "has a revision that is not earlier than its content",
        subject: "message",
        remedy: FROM_BACKUP,
        sql: broken!(
            "SELECT message.id FROM message WHERE revision < 1 OR EXISTS
                 (SELECT 1 FROM revision AS earlier WHERE earlier.message_key = message.key
                  AND (earlier.revision < 1 OR earlier.revision >= message.revision))"
        ),
    },
    Rule {
        check: "tombstone",
        wrong: "is a tombstone with content, or without replies",
        subject: "message",
        remedy: FROM_BACKUP,
        sql: broken!(
            "SELECT message.id FROM message WHERE sender_key IS NULL
                 AND (content <> '' OR revision <> 1 OR receiver_key IS NOT NULL OR key_name IS NOT NULL
                      OR EXISTS (SELECT 1 FROM revision AS earlier WHERE earlier.message_key = message.key)
                      OR EXISTS (SELECT 1 FROM notification WHERE notification.message_key = message.key)
                      OR NOT EXISTS (SELECT 1 FROM message AS reply WHERE reply.parent_key = message.key))"
        ),
    },
    Rule {
        check: "parent_message",
        wrong: "replies to a message of another conversation, or to a later one",
        subject: "message",
        remedy: FROM_BACKUP,
        sql: broken!(
            "SELECT message.id FROM message JOIN message AS parent ON parent.key = message.parent_key
             WHERE parent.conversation_key <> message.conversation_key OR parent.number >= message.number"
        ),
    },
    Rule {
        check: "receiver",
        wrong: "is not from one of the two people to the other, or to its own sender",
        subject: "message",
        remedy: FROM_BACKUP,
        sql: broken!(
            "SELECT message.id FROM message JOIN conversation ON conversation.key = message.conversation_key
             WHERE message.sender_key IS NOT NULL
               AND (coalesce(message.receiver_key = message.sender_key, FALSE)
                    OR (conversation.kind = 0
                        AND NOT coalesce((message.sender_key = lower_user_key
                                          AND message.receiver_key = higher_user_key)
                                         OR (message.sender_key = higher_user_key
                                             AND message.receiver_key = lower_user_key), FALSE)))"
        ),
    },
    Rule {
        check: "notification",
        wrong: "notifies its own sender or somebody who does not take part, or under another conversation",
        subject: "message",
        remedy: "Stop servers, and remove them in SQL: DELETE FROM notification WHERE NOT EXISTS (SELECT 1 FROM message JOIN participant \
                 ON participant.conversation_key = message.conversation_key WHERE message.key = message_key \
                 AND message.conversation_key = notification.conversation_key \
                 AND participant.user_key = notification.user_key AND message.sender_key <> notification.user_key)",
        sql: broken!(
            "SELECT message.id FROM notification JOIN message ON message.key = notification.message_key
             WHERE message.conversation_key <> notification.conversation_key
                OR coalesce(message.sender_key = notification.user_key, TRUE)
                OR NOT EXISTS (SELECT 1 FROM participant
                               WHERE participant.conversation_key = message.conversation_key
                                 AND participant.user_key = notification.user_key)"
        ),
    },
];

/// The rule that folded columns are what the program folds
const USER_NAMES: Rule = Rule {
    check: "user_names",
    wrong: "cannot be found by name, email or search",
    subject: "user",
    remedy: "Set the username again, by id: tidings user update USER --username NAME",
    sql: "",
};

const CONVERSATION_NAMES: Rule = Rule {
    check: "conversation_names",
    wrong: "cannot be found by name or search",
    subject: "conversation",
    remedy: "Set the name again, by id: tidings conversation update CONV --name NAME",
    sql: "",
};

/// Rows whose folded columns are looked at together
pub struct Folds {
    rule: &'static Rule,
    misfolded: fn(&mut Tx<'_>, i64, i64) -> Result<Misfolded>,
    after: Option<i64>,
    found: Vec<Uuid>,
    problems: i64,
}

impl Folds {
    /// Every table with folded columns.
    pub fn all() -> [Self; 2] {
        let of = |rule, misfolded| Self { rule, misfolded, after: Some(0), found: Vec::new(), problems: 0 };
        [of(&USER_NAMES, users::misfolded), of(&CONVERSATION_NAMES, conversations::misfolded)]
    }

    /// The rule, as programs know it
    pub fn check(&self) -> &'static str {
        self.rule.check
    }

    /// Looks at some more rows; false at the end of the table.
    pub fn go_on(&mut self, tx: &mut Tx<'_>) -> Result<bool> {
        let Some(after) = self.after else { return Ok(false) };
        let (found, last) = (self.misfolded)(tx, after, BATCH)?;
        self.problems += i64::try_from(found.len()).unwrap_or(0);
        self.found.extend(found.into_iter().take(EXAMPLES - self.found.len().min(EXAMPLES)));
        self.after = last;
        Ok(last.is_some())
    }

    /// What was found.
    pub fn problem(self) -> Option<Violation> {
        self.rule.problem_of(self.found.iter().copied(), self.problems)
    }
}
