//! [`Event`]: the argument that other modules give to [`record`](super::record).

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Action, RequestOrigin};

/// Something that happened or was refused.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    pub action: Action,
    /// Whether it was done.
    pub outcome: Outcome,
    pub actor: Actor,
    /// The user to whom it was done. May be the actor.
    pub subject: Option<Uuid>,
    /// The team in which it happened. An event with a team goes to the team's stream. Any other
    /// event goes to the stream of the subject, or else of the actor, or else of the installation.
    pub team: Option<Uuid>,
    /// Further facts about the event.
    pub detail: Detail,
    /// The client of the request.
    pub origin: &'a RequestOrigin,
}

/// Whether the requested action was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
        }
    }
}

/// The actor of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user that is logged in, or has proven the mailbox.
    Person(Uuid),
    /// A project's key.
    ProjectKey(Uuid),
    /// The operator, with `latchkey` on the command line.
    Operator,
    /// The daemon by itself.
    System,
    /// An anonymous client.
    Nobody,
}

impl Actor {
    /// The word in the table.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::ProjectKey(_) => "project-key",
            Self::Operator => "operator",
            Self::System => "system",
            Self::Nobody => "nobody",
        }
    }

    /// The id of the user, if the actor is one.
    pub const fn person(self) -> Option<Uuid> {
        if let Self::Person(id) = self { Some(id) } else { None }
    }
}

/// Further facts about an event. Ids, fixed words and numbers stay in the row. Personal facts are
/// stored with the subject's identity and are deleted with the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    reason: Option<&'static str>,
    plain: Map<String, Value>,
    personal: Map<String, Value>,
}

impl Detail {
    /// No further facts.
    pub fn none() -> Self {
        Self::default()
    }

    /// The id of something that is not a user: a project, an invitation, a key.
    #[must_use]
    pub fn id(mut self, name: &'static str, id: Uuid) -> Self {
        self.plain.insert(name.to_owned(), Value::String(id.to_string()));
        self
    }

    /// A fixed word, for example a role or a `reason`. A `reason` is also in the log.
    #[must_use]
    pub fn word(mut self, name: &'static str, word: &'static str) -> Self {
        if name == "reason" {
            self.reason = Some(word);
        }
        self.plain.insert(name.to_owned(), Value::String(word.to_owned()));
        self
    }

    /// The `kid` of a signing key.
    #[must_use]
    pub fn kid(mut self, name: &'static str, kid: &str) -> Self {
        self.plain.insert(name.to_owned(), Value::String(kid.to_owned()));
        self
    }

    #[must_use]
    pub fn number(mut self, name: &'static str, number: i64) -> Self {
        self.plain.insert(name.to_owned(), Value::from(number));
        self
    }

    /// A personal fact, for example an address. It is lost if the event has neither a subject nor a
    /// user as its actor.
    #[must_use]
    pub fn personal(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.personal.insert(name.to_owned(), Value::String(text.into()));
        self
    }

    pub(super) fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// The facts in the table: a JSON object.
    pub(super) fn plain_json(&self) -> String {
        Value::Object(self.plain.clone()).to_string()
    }

    pub(super) fn personal_members(&self) -> &Map<String, Value> {
        &self.personal
    }
}
