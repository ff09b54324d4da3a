//! What goes into the token store and what comes back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::UnixMillis;

/// One person signed in on one device. Times are judged against the caller's `now`; gone from `expires_at` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub user_id: Uuid,
    /// Its public name, 128 random bits in base64url.
    pub sid: String,
    /// The `jti` of the one live userToken.
    pub jti: String,
    /// How often it was rotated; the first is what the opener says. Below 2^53.
    pub generation: u64,
    /// The `jti` before the current one; none before the first rotation.
    pub previous_jti: Option<String>,
    /// When the current `jti` was made.
    pub rotated_at: UnixMillis,
    /// The user's `session_epoch` that it was opened or re-stamped under.
    pub epoch: i32,
    /// The team in use.
    pub team_id: Option<Uuid>,
    /// The project in use.
    pub project_id: Option<Uuid>,
    /// When it was opened.
    pub created_at: UnixMillis,
    /// When it was last refreshed.
    pub seen_at: UnixMillis,
    /// The earlier of its idle end and its absolute end.
    pub expires_at: UnixMillis,
    /// Never slides.
    pub absolute_end: UnixMillis,
    /// Where it was last seen.
    pub ip: String,
    /// What it was last seen with.
    pub user_agent: String,
    /// How the person proved themselves (RFC 8176).
    pub amr: Vec<String>,
}

/// A token shown for rotation, and what it becomes.
#[derive(Clone, Copy, Debug)]
pub struct Refresh<'a> {
    /// `sub` of the token.
    pub user_id: Uuid,
    /// `sid` of the token.
    pub sid: &'a str,
    /// `jti` of the token.
    pub jti: &'a str,
    /// `gen` of the token.
    pub generation: u64,
    /// The `jti` that follows, fresh.
    pub next_jti: &'a str,
    /// `sessions.idle_ttl`
    pub idle_ttl: Duration,
    /// `sessions.refresh_grace`
    pub grace: Duration,
    /// Where the caller is.
    pub ip: &'a str,
    /// What the caller uses.
    pub user_agent: &'a str,
}

/// What became of a [`Refresh`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The token was the current one; this is the session after its rotation.
    Rotated(Session),
    /// The token was the one before, within the grace: the session as it stands, nothing changed.
    Current(Session),
    /// An older token, or the one before past the grace: stolen. The session is dead and answers so to every further
    /// refresh, until [`end_session`](super::Store::end_session) or its expiry.
    Reused(Session),
    /// The token is ahead of the store, which lost its last writes; nothing changed.
    Ahead,
    /// There is no such session (any more).
    Gone,
}

/// What a mailed token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// Confirms the address of an account.
    Verify,
    /// Sets a new password.
    Recover,
    /// Confirms a new address.
    ChangeEmail,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Verify, Self::Recover, Self::ChangeEmail];

    /// As it stands in the names of keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Recover => "recover",
            Self::ChangeEmail => "change-email",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A mailed token, known by its digest alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeToken {
    /// What for.
    pub kind: TokenKind,
    pub user_id: Uuid,
    /// The outbox row that mails it: a UUIDv7, so that the greater one is the newer.
    pub row_id: Uuid,
    /// SHA-256 of the token in base64url.
    pub digest: String,
    /// The version of what it changes, as it was when the mail was asked for.
    pub stamp: i32,
    /// What it is about, beside the user.
    pub subject: Option<Uuid>,
    /// Gone from this moment on.
    pub expires_at: UnixMillis,
}

/// What became of a token that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutToken {
    /// It is the user's one live token of its kind.
    Stored,
    /// A newer one is live; nothing changed.
    Superseded,
}

/// Whether something was spent for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// Now, by this very call.
    First,
    /// Before, or it is past its expiry.
    Again,
}

/// How much may be spent: `burst` at once, and one more each `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The most that can be saved up.
    pub burst: u32,
    /// How long until one unit comes back. Counted in whole milliseconds, rounded up; at least one.
    pub period: Duration,
}

/// What is to be spent from one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The budget. Those that one call spends have the same text before the first colon.
    pub key: String,
    /// Its size.
    pub quota: Quota,
    /// How many; 0 only looks.
    pub cost: u32,
}

/// Whether one of the budgets allowed what was to be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetVerdict {
    /// Spent.
    Allowed {
        /// What could be spent from it at this moment on top.
        remaining: u32,
    },
    /// Not spent.
    Limited {
        /// After so long the same call succeeds, if nobody else spends. [`Duration::MAX`] where the cost is above the
        /// burst: never.
        retry_after: Duration,
    },
}
