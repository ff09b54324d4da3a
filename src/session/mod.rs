//! Sessions: opened by a log-in, rotated by refreshes, ended in many ways.
//!
//! The token store holds the live ones, SQL the endings (architecture §1.6). What lives here: the worker that changes
//! sessions ([`Message`]), the check of a userToken ([`check`]), and the tokens of a session ([`issue`]). Each change is
//! one atomic step of the store; an ending is written to SQL first, so that no lost store brings the session back.

pub mod account_status;
pub mod check;
pub mod issue;
mod refused;
mod work;

pub use refused::{RefusedPassword, Tried};
pub use work::sweep_endings;

use uuid::Uuid;

use crate::actor::{Reply, Worker, WorkerError};
use crate::audit::Chain;
use crate::audit::RequestOrigin;
use crate::clock::{Clock, UnixMillis};
use crate::config::Sessions;
use crate::database::Db;
use crate::problem::Unavailable;
use crate::store::{Refresh, Session, Store};

pub use account_status::AccountStatus;
pub use check::{Principal, Refused};
pub use issue::Tokens;

/// What the session pool does.
#[derive(Debug)]
pub enum Message {
    /// Makes a session known to the store.
    Open {
        /// The session.
        session: Box<Session>,
        /// What is new about it.
        arrival: Arrival,
        /// From where.
        origin: RequestOrigin,
        /// When it is known.
        reply: Reply<Result<(), Unavailable>>,
    },
    /// Rotates a session's token.
    Refresh {
        /// What the client showed, and what comes next.
        refresh: Box<RefreshRequest>,
        /// What became of it.
        reply: Reply<Result<Outcome, Unavailable>>,
    },
    /// Ends sessions.
    Revoke {
        /// Whose.
        user_id: Uuid,
        /// Which.
        which: Which,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// When they are ended.
        reply: Reply<Result<(), Unavailable>>,
    },
    /// Notes a password that was refused. Nobody waits: the answer's time tells nothing of the account.
    Refused(Box<RefusedPassword>),
}

/// What is new about a session to its account; nothing, as a rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival {
    /// The password opens one for the first time.
    pub first: bool,
    /// The device is new, and the person is to be told.
    pub new_device: bool,
}

/// A refresh as an endpoint asks for it.
#[derive(Debug)]
pub struct RefreshRequest {
    /// The person.
    pub user_id: Uuid,
    /// The session.
    pub sid: String,
    /// The token that was shown.
    pub jti: String,
    /// Its generation.
    pub generation: u64,
    /// Who asks, from where.
    pub origin: RequestOrigin,
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

/// Which sessions end.
#[derive(Debug)]
pub enum Which {
    /// One, for this reason.
    One {
        /// The session.
        sid: String,
        /// `logout` or `revoked`.
        reason: &'static str,
        /// When it would have ended anyway.
        absolute_end: UnixMillis,
    },
    /// All but this one, which goes on under a new epoch.
    Others {
        /// The session that stays.
        keep: String,
    },
}

/// The worker's needs.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Where sessions live.
    pub store: Store,
    /// Where endings are written.
    pub db: Db,
    /// Where it is told.
    pub audit: Chain,
    /// The present.
    pub clock: Clock,
    /// Lifetimes and grace.
    pub sessions: Sessions,
}

impl Worker for Keeper {
    type Message = Message;

    async fn handle(&mut self, message: Message) -> Result<(), WorkerError> {
        match message {
            Message::Open { session, arrival, origin, reply } if !reply.is_closed() => {
                let _ = reply.send(self.open(&session, arrival, &origin).await);
            }
            Message::Refresh { refresh, reply } if !reply.is_closed() => {
                let _ = reply.send(self.refresh(&refresh).await);
            }
            Message::Revoke { user_id, which, origin, reply } => {
                let _ = reply.send(self.revoke(user_id, which, &origin).await);
            }
            Message::Refused(refused) => self.note_refused(&refused).await,
            // The client is gone: the cheapest work is the work not done.
            Message::Open { .. } | Message::Refresh { .. } => {}
        }
        Ok(())
    }
}

impl RefreshRequest {
    fn as_store<'a>(&'a self, next_jti: &'a str, sessions: &Sessions) -> Refresh<'a> {
        Refresh {
            user_id: self.user_id,
            sid: &self.sid,
            jti: &self.jti,
            generation: self.generation,
            next_jti,
            idle_ttl: sessions.idle_ttl,
            grace: sessions.refresh_grace,
            ip: &self.origin.ip,
            user_agent: &self.origin.user_agent,
        }
    }
}
