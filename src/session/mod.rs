//! Sessions: a login opens one, a refresh rotates its token, and several events end it.
//!
//! The token store holds live sessions, and the database holds their endings. [`Sessions`] is the
//! handle that opens, rotates and ends sessions. [`check`] verifies a userToken. [`issue`] creates
//! the tokens of a session. Each change is one atomic step of a store. An ending is written to the
//! database first, so that the session stays ended even if the token store loses data.

pub mod account_status;
pub mod check;
pub mod issue;
mod list;
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
pub use issue::Tokens;
pub use list::live;
pub use refused::{RefusedPassword, Tried};
pub use work::sweep_endings;
pub use worker::{Issuer, SessionCommand, SessionWorker, Sessions};

/// What is new about a login. By default nothing is.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoginContext {
    /// The password opens a session for the first time.
    pub first: bool,
    /// The device is new, and the user gets a mail about it.
    pub new_device: bool,
}

/// A refresh that a client asks for.
#[derive(Debug)]
pub struct RefreshRequest {
    pub user_id: Uuid,
    pub sid: String,
    /// The `jti` of the token that the client sent.
    pub jti: String,
    /// The generation of that token.
    pub generation: u64,
}

/// Result of a refresh.
#[derive(Debug)]
pub enum Outcome {
    /// The session continues with this current token: after a rotation, or within the grace period
    /// of the last one.
    Alive(Box<Session>),
    /// The session continues with this current token. The client sent the previous one, and the
    /// response with the current one may be lost.
    Recovered(Box<Session>),
    /// The token was replaced before, so it counts as stolen. The session has ended, and the user
    /// gets a mail.
    Reused,
    /// There is no such session, or the token is newer than the one in the store. The response is
    /// 401.
    Gone,
}

/// What ended one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// A logout with a token of the session.
    Logout,
    /// The user revoked it in the list of sessions, or a client sent its token to `/api/revoke`.
    Revocation,
}

impl EndedBy {
    /// The value in `ended_sessions.reason`.
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
    /// All sessions but one, which continues with a new epoch.
    Others {
        /// The `sid` of the session that stays.
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
        }
    }
}
