//! [`Sessions`] is the handle of the session workers. [`SessionWorker`] runs the commands.

use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    AccountStatus, LoginContext, Outcome, RefreshRequest, RefusedPassword, Tokens, Which, issue,
};
use crate::actor::{FlatReply, Pool, Worker, WorkerError};
use crate::audit::{Chain, ChangeContext, RequestOrigin};
use crate::clock::Clock;
use crate::config::{self, Passkeys};
use crate::database::Db;
use crate::mail::Deliveries;
use crate::problem::Unavailable;
use crate::store::{Session, Store};
use crate::telemetry::Metrics;
use crate::telemetry::labels::TokenType;
use crate::token::KeyRing;

/// A command for a session worker.
#[derive(Debug)]
pub enum SessionCommand {
    /// Runs [`Sessions::open`].
    Open {
        session: Box<Session>,
        context: LoginContext,
        origin: RequestOrigin,
        reply: FlatReply<()>,
    },
    /// Runs [`Sessions::refresh`].
    Refresh {
        refresh: Box<RefreshRequest>,
        origin: RequestOrigin,
        /// The reply. The worker sends it after the token store has rotated or refused the token.
        reply: FlatReply<Outcome>,
    },
    /// Runs [`Sessions::end`].
    End {
        user_id: Uuid,
        which: Which,
        origin: RequestOrigin,
        /// The reply. The worker sends it after the database has recorded that the sessions have
        /// ended.
        reply: FlatReply<()>,
    },
    /// Runs [`Sessions::record_refused`].
    RecordRefused(Box<RefusedPassword>),
}

/// The handle of the session workers. Each call returns [`Unavailable`] if the queue is full, if a
/// dependency fails, or if the deadline of the request passes.
#[derive(Clone, Debug)]
pub struct Sessions {
    pool: Pool<SessionCommand>,
    issuer: Issuer,
}

/// The dependencies of the handle: for the gate of logins, and for creating the tokens of sessions.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The database, which holds the factors of accounts.
    pub db: Db,
    /// The token store, which holds the logins that wait for a second factor.
    pub store: Store,
    pub keys: Arc<KeyRing>,
    /// Issuer, audience and lifetimes of tokens.
    pub tokens: config::Tokens,
    /// Lifetimes of sessions.
    pub sessions: config::Sessions,
    pub passkeys: Passkeys,
    pub clock: Clock,
    /// The metrics that count the tokens.
    pub metrics: Arc<Metrics>,
    /// Delivers the mail about a new device.
    pub deliveries: Deliveries,
}

impl Sessions {
    pub fn new(pool: Pool<SessionCommand>, issuer: Issuer) -> Self {
        Self { pool, issuer }
    }

    /// The worker pool, for the shutdown of the daemon and for metrics.
    pub fn pool(&self) -> &Pool<SessionCommand> {
        &self.pool
    }

    pub(super) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Creates the tokens for a session's current `jti`.
    pub fn tokens(
        &self,
        session: &Session,
        account: &AccountStatus,
    ) -> Result<Tokens, Unavailable> {
        let Issuer { keys, tokens, clock, metrics, .. } = &self.issuer;
        let tokens = issue::tokens(&keys.current(), tokens, session, account, clock.now())
            .map_err(|error| Unavailable::because("signing keys", error))?;
        metrics.tokens_issued.one(TokenType::User);
        metrics.tokens_issued.one(TokenType::Vault);
        Ok(tokens)
    }

    /// Creates tokens for the session of a request that has proven the user again. If a refresh has
    /// replaced the userToken of the request, the new userToken has the same `jti` as the old one.
    /// Otherwise a thief with an old userToken would get the current one without the check for
    /// reuse.
    pub fn tokens_for(
        &self,
        replaced_token: Option<(String, u64)>,
        session: Session,
        account: &AccountStatus,
    ) -> Result<Tokens, Unavailable> {
        match replaced_token {
            Some((jti, generation)) => {
                self.tokens(&Session { jti, generation, ..session }, account)
            }
            None => self.tokens(&session, account),
        }
    }

    /// Creates a vaultToken, and returns it with the userToken of the request. Only a refresh gives
    /// a newer userToken: otherwise a thief with an old one would get the current one without the
    /// check for reuse.
    pub fn beside(
        &self,
        user_token: &str,
        session: &Session,
        account: &AccountStatus,
    ) -> Result<Tokens, Unavailable> {
        let Issuer { keys, tokens, clock, metrics, .. } = &self.issuer;
        let vault = issue::vault_token(&keys.current(), tokens, session, account, clock.now());
        let vault_token = vault.map_err(|error| Unavailable::because("signing keys", error))?;
        metrics.tokens_issued.one(TokenType::Vault);
        Ok(Tokens { user_token: user_token.to_owned(), vault_token })
    }

    /// Opens a session. The tokens of the session are valid as soon as this function returns.
    pub async fn open(
        &self,
        (deadline, origin): (Instant, RequestOrigin),
        session: Session,
        context: LoginContext,
    ) -> Result<(), Unavailable> {
        let session = Box::new(session);
        self.pool
            .ask(deadline, |reply| SessionCommand::Open { session, context, origin, reply })
            .await
    }

    /// Rotates the token of a session.
    pub async fn refresh(
        &self,
        (deadline, origin): (Instant, RequestOrigin),
        refresh: RefreshRequest,
    ) -> Result<Outcome, Unavailable> {
        let refresh = Box::new(refresh);
        self.pool.ask(deadline, |reply| SessionCommand::Refresh { refresh, origin, reply }).await
    }

    /// Ends sessions of a user.
    pub async fn end(
        &self,
        (deadline, origin): (Instant, RequestOrigin),
        user_id: Uuid,
        which: Which,
    ) -> Result<(), Unavailable> {
        self.pool.ask(deadline, |reply| SessionCommand::End { user_id, which, origin, reply }).await
    }

    /// Records in the audit that a password was refused. Does not wait until the event is written,
    /// so that the response time reveals nothing about the account.
    ///
    /// # Errors
    /// Returns an error if the queue is full. In this case the refusal is not recorded.
    pub fn record_refused(&self, refused: RefusedPassword) -> Result<(), Unavailable> {
        self.pool.nudge(SessionCommand::RecordRefused(Box::new(refused)))
    }
}

/// The dependencies of a session worker.
#[derive(Clone, Debug)]
pub struct SessionWorker {
    /// The token store, which holds live sessions.
    pub store: Store,
    /// The database, which holds the records of ended sessions.
    pub db: Db,
    pub chain: Chain,
    pub clock: Clock,
    /// Lifetimes of sessions, and the grace period of a refresh.
    pub sessions: config::Sessions,
}

impl Worker for SessionWorker {
    type Message = SessionCommand;

    async fn handle(&mut self, command: SessionCommand) -> Result<(), WorkerError> {
        match command {
            SessionCommand::Open { session, context, origin, reply } if !reply.is_closed() => {
                let _ = reply.send(self.open(&self.change(origin), &session, context).await);
            }
            SessionCommand::Refresh { refresh, origin, reply } if !reply.is_closed() => {
                let _ = reply.send(self.refresh(&self.change(origin), &refresh).await);
            }
            SessionCommand::End { user_id, which, origin, reply } => {
                let _ = reply.send(self.end(&self.change(origin), user_id, which).await);
            }
            SessionCommand::RecordRefused(refused) => self.record_refused(*refused).await,
            // The client has disconnected before the work began, so nothing is done.
            SessionCommand::Open { .. } | SessionCommand::Refresh { .. } => {}
        }
        Ok(())
    }
}

impl SessionWorker {
    pub(super) fn change(&self, origin: RequestOrigin) -> ChangeContext<'_> {
        ChangeContext { db: &self.db, chain: &self.chain, origin, now: self.clock.now() }
    }
}
