//! Leads steps to what is there, so that most of them succeed.

use super::super::{Step, Verb, Where};
use super::{Label, Naive, OPERATOR};

impl Naive {
    /// The step, by somebody who may take it where it is aimed and there is anybody
    pub(crate) fn aim(&self, step: Step) -> Step {
        if !step.is_aimed || step.who == OPERATOR && step.verb == Verb::Create {
            return step;
        }
        let aimed = match step.verb {
            Verb::Reply | Verb::Edit | Verb::Delete => self.at_message(step),
            Verb::Read => self.at_notification(step),
            Verb::Send | Verb::Address | Verb::Remove | Verb::Add | Verb::SetLevel | Verb::ReadPlace => {
                self.at_conversation(step)
            }
            Verb::Forget if step.who != OPERATOR => Some(Step { who: step.user, ..step }),
            Verb::Forget | Verb::Create | Verb::Begin => None,
        };
        aimed.unwrap_or(step)
    }

    fn at_message(&self, step: Step) -> Option<Step> {
        let message = self.messages.get(usize::try_from(step.number).ok()? % self.messages.len().max(1))?;
        let author = message.sender.filter(|_| step.verb != Verb::Reply && step.who != OPERATOR);
        let who = match author {
            Some(author) => author,
            None => self.participant(message.place, step.who)?,
        };
        let who = if matches!((step.who, message.place), (OPERATOR, Label::Group(_))) { OPERATOR } else { who };
        Some(Step { who, place: place(message.place, who), number: message.number, ..step })
    }

    fn at_notification(&self, step: Step) -> Option<Step> {
        let told = self.notifications.get(usize::try_from(step.number).ok()? % self.notifications.len().max(1))?;
        Some(Step { who: told.user, place: place(told.place, told.user), number: told.number, ..step })
    }

    fn at_conversation(&self, step: Step) -> Option<Step> {
        let Where::Group(group) = step.place else { return None };
        let who = self.participant(Label::Group(group), step.who)?;
        let user = match step.verb {
            Verb::Address => self.participant(Label::Group(group), step.user)?,
            Verb::Remove if step.is_read => who,
            _ => step.user,
        };
        Some(Step { who, user, ..step })
    }

    fn participant(&self, place: Label, at: usize) -> Option<usize> {
        let found = self.conversations.iter().find(|conversation| conversation.label == place)?;
        found.participants.get(at % found.participants.len()).map(|(user, _)| *user)
    }
}

fn place(label: Label, who: usize) -> Where {
    match label {
        Label::Group(group) => Where::Group(group),
        Label::Pair(one, other) => Where::With(if one == who { other } else { one }),
    }
}
