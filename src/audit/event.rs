//! [`Event`]: what a room hands to [`record`](super::record).

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Action, RequestOrigin};

/// One thing that happened, or was refused.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    pub action: Action,
    /// Whether it was done.
    pub outcome: Outcome,
    /// Who did it.
    pub actor: Actor,
    /// The person whom it was done to; may be the actor.
    pub subject: Option<Uuid>,
    /// The team that it happened in. Such an event stands in the team's stream; without a team in the subject's, else in
    /// the actor's, else in the installation's.
    pub team: Option<Uuid>,
    /// What else there is to know.
    pub detail: Detail,
    /// From where.
    pub origin: &'a RequestOrigin,
}

/// Whether what was asked was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was.
    Success,
    /// It was not.
    Refused,
}

impl Outcome {
    /// As in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
        }
    }
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person who is signed in, or proved the mailbox.
    Person(Uuid),
    /// A project's key.
    ProjectKey(Uuid),
    /// Whoever runs `latchkey` on the command line.
    Operator,
    /// The daemon by itself.
    System,
    /// Somebody who proved nothing.
    Nobody,
}

impl Actor {
    /// As in the table.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::ProjectKey(_) => "project-key",
            Self::Operator => "operator",
            Self::System => "system",
            Self::Nobody => "nobody",
        }
    }

    /// The person, where it is one.
    pub const fn person(self) -> Option<Uuid> {
        if let Self::Person(id) = self { Some(id) } else { None }
    }
}

/// What else there is to know of an event: ids, words of ours and numbers, which stay; and what is personal, which stands
/// with the subject's identity and goes with the person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    reason: Option<&'static str>,
    plain: Map<String, Value>,
    personal: Map<String, Value>,
}

impl Detail {
    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// The id of something that is no person: a project, an invitation, a key.
    #[must_use]
    pub fn id(mut self, name: &'static str, id: Uuid) -> Self {
        self.plain.insert(name.to_owned(), Value::String(id.to_string()));
        self
    }

    /// One of our own words: a role, a `reason` (which is also in the log).
    #[must_use]
    pub fn word(mut self, name: &'static str, word: &'static str) -> Self {
        if name == "reason" {
            self.reason = Some(word);
        }
        self.plain.insert(name.to_owned(), Value::String(word.to_owned()));
        self
    }

    /// The `kid` of a key of ours.
    #[must_use]
    pub fn kid(mut self, name: &'static str, kid: &str) -> Self {
        self.plain.insert(name.to_owned(), Value::String(kid.to_owned()));
        self
    }

    /// A number.
    #[must_use]
    pub fn number(mut self, name: &'static str, number: i64) -> Self {
        self.plain.insert(name.to_owned(), Value::from(number));
        self
    }

    /// Something personal, an address say. It is lost where the event has neither a subject nor a person who acts.
    #[must_use]
    pub fn personal(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.personal.insert(name.to_owned(), Value::String(text.into()));
        self
    }

    pub(super) fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// As in the table: a JSON object.
    pub(super) fn plain_json(&self) -> String {
        Value::Object(self.plain.clone()).to_string()
    }

    pub(super) fn personal_members(&self) -> &Map<String, Value> {
        &self.personal
    }
}
