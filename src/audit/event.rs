//! [`Event`]: the description of an event, which other modules give to [`record`](super::record).

use sea_orm::DbErr;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::checkpoint::Head;
use super::{Action, RequestOrigin};

/// An action that was done or refused, with all facts that the audit records.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    pub action: Action,
    /// Whether the action was done.
    pub outcome: Outcome,
    pub actor: Actor,
    /// The user whose account the action concerns. The subject and the actor are perhaps the same
    /// user.
    pub subject: Option<Uuid>,
    /// The team that the action concerns. An event with a team goes to the team's stream. An event
    /// without a team goes to the stream of the subject. If there is no subject, it goes to the
    /// stream of the actor, and if the actor is no user, to the stream of the installation.
    pub team: Option<Uuid>,
    /// Further facts about the event.
    pub detail: Detail,
    /// The client of the request.
    pub origin: &'a RequestOrigin,
}

/// Whether the requested action was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Refused,
}

impl Outcome {
    /// The value in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
        }
    }
}

/// The user, program or client that did the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user who is logged in, or who has sent a valid token from a mail.
    Person(Uuid),
    /// A program that authenticated with a project's key.
    ProjectKey(Uuid),
    /// The operator, who used the command `latchkey`.
    Operator,
    /// The daemon, without a request.
    System,
    /// An anonymous client.
    Nobody,
}

impl Actor {
    /// The value in the database.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::ProjectKey(_) => "project-key",
            Self::Operator => "operator",
            Self::System => "system",
            Self::Nobody => "nobody",
        }
    }

    /// The id of the user, if the actor is a user.
    pub const fn person(self) -> Option<Uuid> {
        if let Self::Person(id) = self { Some(id) } else { None }
    }
}

/// Further facts about an event. Ids, fixed words and numbers are part of the event's row. Personal
/// facts are stored in an identity, outside of the event's row, and are deleted with the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    reason: Option<&'static str>,
    plain: Map<String, Value>,
    personal: Map<String, Value>,
}

impl Detail {
    /// A detail without any facts.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds the id of a project, an invitation, a key or another object that is not a user.
    #[must_use]
    pub fn id(mut self, name: &'static str, id: Uuid) -> Self {
        self.plain.insert(name.to_owned(), Value::String(id.to_string()));
        self
    }

    /// Adds a fixed word, for example a role or a `reason`. The log line of the event also contains
    /// the `reason`.
    #[must_use]
    pub fn word(mut self, name: &'static str, word: &'static str) -> Self {
        if name == "reason" {
            self.reason = Some(word);
        }
        self.plain.insert(name.to_owned(), Value::String(word.to_owned()));
        self
    }

    /// Adds the `kid` of a signing key.
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

    /// Adds the heads of a [checkpoint event](super::checkpoint_event). `complete` marks the last
    /// event of a run.
    pub(super) fn heads(mut self, heads: &[Head], complete: bool) -> Result<Self, DbErr> {
        let heads = serde_json::to_value(heads).map_err(|error| DbErr::Json(error.to_string()))?;
        self.plain.insert("heads".to_owned(), heads);
        if complete {
            self.plain.insert("complete".to_owned(), Value::Bool(true));
        }
        Ok(self)
    }

    /// Adds a personal fact, for example an email address. If the event has no subject and its
    /// actor is no user, the fact is not stored.
    #[must_use]
    pub fn personal(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.personal.insert(name.to_owned(), Value::String(text.into()));
        self
    }

    pub(super) fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// The facts that are part of the event's row, as a JSON object.
    pub(super) fn plain_json(&self) -> String {
        Value::Object(self.plain.clone()).to_string()
    }

    pub(super) fn personal_members(&self) -> &Map<String, Value> {
        &self.personal
    }
}
