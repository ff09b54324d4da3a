//! Sessions. A login opens a session, a refresh rotates the session's token, and several events end
//! the session.
//!
//! The token store holds live sessions, and the database holds the records of ended sessions.
//! [`Sessions`] is the handle that opens, rotates and ends sessions. [`check`] verifies a
//! userToken. [`gate`] asks for the second factor before a session is opened, and [`freshness`]
//! asks for a new proof before a sensitive action. [`issue`] creates the tokens of a session. Each
//! change is one atomic step of a store.
//! When a session ends, this is first written to the database, so that the session stays ended even
//! if the token store loses data.

pub mod account_status;
pub mod check;
pub mod freshness;
pub mod gate;
pub mod issue;
mod list;
pub mod proof;
mod refused;
mod work;
mod worker;

use uuid::Uuid;

use crate::audit::RequestOrigin;
use crate::clock::UnixMillis;
use crate::config;
use crate::store::{Refresh, Session};

pub use account_status::AccountStatus;
pub use check::{Principal, Refused};
pub use freshness::{FreshProof, StepUpRequired};
pub use gate::{ChallengeUse, Entry, FactorRequired, FirstProof, WaitingDevice};
pub use issue::Tokens;
pub use list::live;
pub use proof::{Level, Proof};
pub use refused::{RefusedPassword, Tried};
pub use work::sweep_ended;
pub use worker::{Issuer, SessionCommand, SessionWorker, Sessions};

/// What is new about a login. By default nothing is new.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoginContext {
    /// This is the first login with the password of this account.
    pub first: bool,
    /// The login comes from a new device, and the user gets a mail about the new device.
    pub new_device: bool,
}

/// A refresh that a client asks for.
#[derive(Debug)]
pub struct RefreshRequest {
    pub user_id: Uuid,
    pub sid: String,
    /// The `jti` of the token that the client sent.
    pub jti: String,
    /// The generation of the token that the client sent.
    pub generation: u64,
    /// The active session as it was read before.
    pub seen: Option<Session>,
}

/// Result of a refresh.
#[derive(Debug)]
pub enum Outcome {
    /// The live session with its current token. Either this refresh rotated the token, or the
    /// client repeated a refresh within the grace period after the last rotation.
    Alive(Box<Session>),
    /// The live session with its current token. The client sent the previous token, and the
    /// response with the current token is perhaps lost.
    Recovered(Box<Session>),
    /// The client sent a token that was already replaced, so the token counts as stolen. The
    /// session has ended, and the user gets a mail.
    Reused,
    /// The session does not exist, or the client's token is newer than the token in the store. The
    /// response is 401.
    Gone,
}

/// What ended one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// A logout with a token of the session.
    Logout,
    /// The user revoked the session in the list of sessions, or a client sent a token of the
    /// session to `/api/revoke`.
    Revocation,
}

impl EndedBy {
    /// The value in the column `ended_sessions.reason`.
    const fn name(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Revocation => "revoked",
        }
    }
}

/// Which sessions end.
#[derive(Debug)]
pub enum Which {
    One {
        sid: String,
        reason: EndedBy,
        /// When the session would have expired at the latest.
        absolute_end: UnixMillis,
    },
    /// All sessions of the user except one. The remaining session gets a new epoch.
    Others {
        /// The `sid` of the session that does not end.
        keep: String,
    },
}

impl RefreshRequest {
    fn as_store<'a>(
        &'a self,
        next_jti: &'a str,
        origin: &'a RequestOrigin,
        client: &'a str,
        sessions: &config::Sessions,
    ) -> Refresh<'a> {
        Refresh {
            user_id: self.user_id,
            sid: &self.sid,
            jti: &self.jti,
            generation: self.generation,
            next_jti,
            idle_ttl: sessions.idle_ttl,
            grace: sessions.refresh_grace,
            ip: &origin.ip,
            client,
            user_agent: &origin.user_agent,
            seen: self.seen.as_ref(),
        }
    }
}
