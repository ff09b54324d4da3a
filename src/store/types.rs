//! The arguments and results of the operations of the token store.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::UnixMillis;

/// The login of one user on one device. Its times are compared with the caller's `now`. It does not
/// exist from `expires_at` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub user_id: Uuid,
    /// The public id of the session: 128 random bits in base64url.
    pub sid: String,
    /// The `jti` of its only valid userToken.
    pub jti: String,
    /// The number of rotations, counted from the value at the opening. Below 2^53.
    pub generation: u64,
    /// The previous `jti`. `None` before the first rotation.
    pub previous_jti: Option<String>,
    /// When the current `jti` was created.
    pub rotated_at: UnixMillis,
    /// The user's `session_epoch` when the session was opened or last restamped.
    pub epoch: i32,
    pub team_id: Option<Uuid>,
    pub project_id: Option<Uuid>,
    pub created_at: UnixMillis,
    /// When it was last refreshed.
    pub seen_at: UnixMillis,
    /// The earlier of the idle end and the absolute end.
    pub expires_at: UnixMillis,
    /// The absolute end. A refresh does not change it.
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
    /// response may be lost.
    pub recovered: bool,
    /// How many generations in a row were recovered, the current one included.
    pub recoveries: u32,
    /// The level of the newest proof: `aal1` or `aal2`.
    pub acr: String,
    /// The authentication methods of the newest proof (RFC 8176).
    pub amr: Vec<String>,
    /// The time of the newest proof at the level of `acr`.
    pub auth_time: UnixMillis,
    /// Whether the newest proof still counts for actions that need a fresh one. A recovery of the
    /// token ends this.
    pub fresh: bool,
}

/// The level of a session with one factor (`acr`).
pub const AAL1: &str = "aal1";

/// The most generations in a row that can be recovered. One more counts as theft, so that a thief
/// who always holds the previous token is found.
pub const RECOVERIES_MAX: u32 = 2;

/// A token that a client sends to rotate it, and its replacement.
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
}

/// The result of a [`Refresh`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The token was the current one. This is the session after the rotation.
    Rotated(Session),
    /// The token was the previous one, within the grace period and from the same client key. This
    /// is the session, which did not change.
    Current(Session),
    /// The token was the previous one, and its successor may have been lost: nobody used it, or the
    /// grace period has not passed but the client key is another one. This is the session, whose
    /// current token is recovered. Every further call with the same token gets this result too.
    Recovered(Session),
    /// The token may be stolen: it is older, or it is the previous one and its successor was used,
    /// or this would be the third recovered generation in a row.
    /// The session is now a tombstone. Every further refresh gets this result, until
    /// [`end_session`](super::Store::end_session) or the expiry.
    Reused(Session),
    /// The token is newer than the store, because the store lost its last writes. Nothing changed.
    Ahead,
    /// The session does not exist, or not any more.
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
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Verify, Self::Recover, Self::ChangeEmail];

    /// The name in keys.
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

/// A mailed token. The store only knows its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeToken {
    pub kind: TokenKind,
    pub user_id: Uuid,
    /// The outbox row that mails the token. It is a UUIDv7, so a greater id is newer.
    pub row_id: Uuid,
    /// SHA-256 of the token in base64url.
    pub digest: String,
    /// The version of the object that the token changes, at the time of the request for the mail.
    pub stamp: i32,
    /// The object that the token is about, besides the user.
    pub subject: Option<Uuid>,
    /// The token does not exist from this time on.
    pub expires_at: UnixMillis,
}

/// The result of putting a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutToken {
    /// It is now the user's only active token of its kind.
    Stored,
    /// A newer token is active. Nothing changed.
    Superseded,
}

/// Whether a key was used for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// This call used it first.
    First,
    /// It was used before, or it has expired.
    Again,
}

/// The size of a budget: `burst` units at once, and one more every `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The greatest number of units that can be saved up.
    pub burst: u32,
    /// The time in which one unit is regained. It is counted in whole milliseconds, rounded up, at
    /// least one.
    pub period: Duration,
}

/// The amount to spend from one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The name of the budget. All budgets in one call have the same text before the first colon.
    pub key: String,
    pub quota: Quota,
    /// The number of units. 0 spends nothing and only returns the state.
    pub cost: u32,
}

/// Whether one of the budgets allowed the cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetVerdict {
    /// The cost was spent.
    Allowed {
        /// How many units can still be spent now.
        remaining: u32,
    },
    /// Nothing was spent.
    Limited {
        /// After this time the same call succeeds, if no other client spends. [`Duration::MAX`] if
        /// the cost is greater than the burst, so that it never succeeds.
        retry_after: Duration,
    },
}
