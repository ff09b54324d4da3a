//! The arguments and results of the operations of the token store.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::UnixMillis;

/// The login of one user on one device. The times in a session are compared with the caller's
/// `now`. From `expires_at` on, the session counts as deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub user_id: Uuid,
    /// The public id of the session: 128 random bits in base64url.
    pub sid: String,
    /// The `jti` of the session's current userToken.
    pub jti: String,
    /// The generation of the current token. Each rotation adds 1. The value is less than 2^53.
    pub generation: u64,
    /// The `jti` that the last rotation replaced. `None` before the first rotation.
    pub previous_jti: Option<String>,
    /// When the current `jti` was created.
    pub rotated_at: UnixMillis,
    /// The user's `session_epoch` when the session was opened or last restamped.
    pub epoch: i32,
    pub team_id: Option<Uuid>,
    pub project_id: Option<Uuid>,
    pub created_at: UnixMillis,
    /// When the session was last refreshed.
    pub seen_at: UnixMillis,
    /// When the session expires. This is the idle end or the absolute end, whichever is earlier.
    pub expires_at: UnixMillis,
    /// The absolute end of the session. A refresh does not change it.
    pub absolute_end: UnixMillis,
    /// The IP address at the last refresh.
    pub ip: String,
    /// The `User-Agent` at the last refresh.
    pub user_agent: String,
    /// The client key (IPv4 address or IPv6 /48) that received the current token.
    pub client: String,
    /// Whether a userToken of the current generation was used on any route.
    pub used: bool,
    /// Whether the current token was sent again to a holder of the previous one, because the first
    /// response is perhaps lost.
    pub recovered: bool,
    /// How many generations in a row were recovered, including the current generation.
    pub recoveries: u32,
    /// The level of the newest proof: `aal1` or `aal2`.
    pub acr: String,
    /// The authentication methods of the newest proof (RFC 8176).
    pub amr: Vec<String>,
    /// The time of the newest proof at the level of `acr`.
    pub auth_time: UnixMillis,
    /// Whether the newest proof still counts for actions that need a fresh proof. After a recovery
    /// of the token, the proof no longer counts for them.
    pub fresh: bool,
}

/// The level of a session with one factor (`acr`).
pub const AAL1: &str = "aal1";

/// The level of a session with two factors (`acr`).
pub const AAL2: &str = "aal2";

/// The maximum number of generations in a row that are recovered. One more recovery counts as
/// theft, so that a thief who always holds the previous token is found.
pub const RECOVERIES_MAX: u32 = 2;

/// A refresh: the token that a client sends, and the data of the token that replaces it.
#[derive(Clone, Copy, Debug)]
pub struct Refresh<'a> {
    /// The `sub` of the token.
    pub user_id: Uuid,
    /// The `sid` of the token.
    pub sid: &'a str,
    /// The `jti` of the token.
    pub jti: &'a str,
    /// The `gen` of the token.
    pub generation: u64,
    /// The `jti` of the next token.
    pub next_jti: &'a str,
    /// The setting `sessions.idle_ttl`.
    pub idle_ttl: Duration,
    /// The setting `sessions.refresh_grace`.
    pub grace: Duration,
    /// The IP address of the client.
    pub ip: &'a str,
    /// The client key of that address: the IPv4 address or the IPv6 /48.
    pub client: &'a str,
    /// The `User-Agent` of the client.
    pub user_agent: &'a str,
    /// The active session as the caller has read it before. If the store still contains it, the
    /// refresh needs one call to the store.
    pub seen: Option<&'a Session>,
}

/// The result of a [`Refresh`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The client's token was the current token of the session. This is the session after the
    /// rotation.
    Rotated(Session),
    /// The client's token was the one that the last rotation replaced. The grace period has not
    /// ended, and the client key is the one that received the current token. This is the unchanged
    /// session.
    Current(Session),
    /// The client's token was the one that the last rotation replaced, and the response with the
    /// current token is perhaps lost. Either no client has used the current token, or the grace
    /// period has not ended and the client key is a different one. This is the session, whose
    /// current token is now marked as recovered. A further refresh with the same token has the same
    /// result.
    Recovered(Session),
    /// The client's token is perhaps stolen. A rotation before the last one replaced the token, or
    /// its successor was used, or two generations in a row were already recovered. The session is
    /// now a tombstone. Every further refresh gets this result, until
    /// [`end_session`](super::Store::end_session) is called or the session expires.
    Reused(Session),
    /// The client's token is newer than the session in the store, because the store has lost its
    /// last writes. Nothing has changed.
    Ahead,
    /// The session never existed or no longer exists.
    Gone,
}

/// The purpose of a mailed token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// Confirms the email address of an account.
    Verify,
    /// Sets a new password.
    Recover,
    /// Confirms a new email address.
    ChangeEmail,
}

impl TokenKind {
    pub const ALL: [Self; 3] = [Self::Verify, Self::Recover, Self::ChangeEmail];

    /// The name of the kind in the keys of the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Recover => "recover",
            Self::ChangeEmail => "change-email",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A mailed token. The store knows only the digest of the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeToken {
    pub kind: TokenKind,
    pub user_id: Uuid,
    /// The id of the outbox row of the mail with this token. The id is a UUIDv7, so a greater id
    /// belongs to a newer mail.
    pub row_id: Uuid,
    /// SHA-256 of the token in base64url.
    pub digest: String,
    /// The version of the object that the token changes. It is the version at the time when the
    /// mail was requested.
    pub stamp: i32,
    /// The id of the object that the token concerns in addition to the user.
    pub subject: Option<Uuid>,
    /// The token counts as deleted from this time on.
    pub expires_at: UnixMillis,
}

/// The result of putting a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutToken {
    /// The token is stored. It is now the user's only active token of its kind.
    Stored,
    /// A newer token of this kind is active. Nothing has changed.
    Superseded,
}

/// Whether a key was used for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// This call used the key for the first time.
    First,
    /// The key was used before, or it has expired.
    Again,
}

/// The size of a budget. `burst` units can be spent at once, and one unit is regained every
/// `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The number of units in a full budget.
    pub burst: u32,
    /// The time in which one unit is regained. It is rounded up to whole milliseconds and is at
    /// least one millisecond.
    pub period: Duration,
}

/// The amount to spend from one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The name of the budget. All budgets in one call have the same text before the first colon.
    pub key: String,
    pub quota: Quota,
    /// The number of units to spend. If it is 0, nothing is spent, and the call only returns the
    /// state of the budget.
    pub cost: u32,
}

/// Whether one of the budgets had enough units for the cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetVerdict {
    /// The cost was spent.
    Allowed {
        /// How many units can still be spent now.
        remaining: u32,
    },
    /// Nothing was spent.
    Limited {
        /// After this time the same call succeeds, if no other client spends from the budget in the
        /// meantime. [`Duration::MAX`] if the cost is greater than the burst, because then the call
        /// can never succeed.
        retry_after: Duration,
    },
}
