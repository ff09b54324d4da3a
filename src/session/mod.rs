//! Sessions: a login opens one, refreshes rotate its token, and it ends in many ways.
//!
//! The token store holds live sessions, SQL their endings. [`Sessions`] is the handle that opens, rotates and ends sessions;
//! [`check`] verifies a userToken; [`issue`] creates the tokens of a session. Each change is one atomic step of the store. An
//! ending is written to SQL first, so that no lost store brings the session back.

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

/// What is new about a session to its account; nothing, as a rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoginContext {
    /// The password opens one for the first time.
    pub first: bool,
    /// The device is new, and the person is to be told.
    pub new_device: bool,
}

/// A refresh as an endpoint asks for it.
#[derive(Debug)]
pub struct RefreshRequest {
    pub user_id: Uuid,
    pub sid: String,
    /// The token that was shown.
    pub jti: String,
    /// Its generation.
    pub generation: u64,
}

/// What became of a refresh.
#[derive(Debug)]
pub enum Outcome {
    /// The session goes on with this current token: after a rotation, or within the grace of the last one.
    Alive(Box<Session>),
    /// A stolen token: the session is ended, the person is told.
    Reused,
    /// There is no such session, or the token is ahead of the store: a plain 401.
    Gone,
}

/// What ended one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// Its own logout.
    Logout,
    /// The list of sessions, or its token at `/api/revoke`.
    Revocation,
}

impl EndedBy {
    /// As `ended_sessions.reason` has it.
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
    /// One.
    One {
        sid: String,
        reason: EndedBy,
        /// When it would have ended anyway.
        absolute_end: UnixMillis,
    },
    /// All but this one, which goes on under a new epoch.
    Others {
        /// The session that stays.
        keep: String,
    },
}

impl RefreshRequest {
    fn as_store<'a>(
        &'a self,
        next_jti: &'a str,
        origin: &'a RequestOrigin,
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
            user_agent: &origin.user_agent,
        }
    }
}
