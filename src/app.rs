//! [`App`]: the dependencies of the endpoints. The daemon builds it once, and all requests share it
//! by reference.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::account::{AccountService, Accounts};
use crate::actor::{FairPermits, FairSemaphore};
use crate::admission::Admission;
use crate::audit::Chain;
use crate::captcha::{Captchas, Verifier};
use crate::clock::{Clock, OnceAMinute};
use crate::config::{Config, IntrospectionClient};
use crate::database::Db;
use crate::health::SchemaWindow;
use crate::mail::{Deliveries, Mailbox, MailboxKey};
use crate::password::{Breach, Passwords, Policy};
use crate::secret::Secret;
use crate::session::Sessions;
use crate::session::check::Check;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::token::KeyRing;

#[derive(Debug)]
pub struct App {
    pub config: Config,
    /// The current value of the setting `introspection.clients`. No other setting of an endpoint
    /// changes after SIGHUP.
    pub introspection_clients: ArcSwap<Vec<IntrospectionClient>>,
    /// The database. It contains users, teams, mails and the records of ended sessions.
    pub db: Db,
    /// The token store. It contains sessions and one-time tokens.
    pub store: Store,
    pub keys: Arc<KeyRing>,
    /// Authenticates the events of the audit.
    pub audit: Chain,
    /// The workers for registration, recovery, changes and deletion of accounts.
    pub accounts: Accounts,
    /// The workers that open, rotate and end sessions.
    pub sessions: Sessions,
    /// The workers that hash and verify passwords.
    pub passwords: Passwords,
    /// The workers that verify captchas.
    pub captchas: Captchas,
    /// The workers that deliver mail.
    pub deliveries: Deliveries,
    /// All limits for requests, logins and mails.
    pub admission: Admission,
    /// The key `"mail-token"`, which is derived from the master key. The tokens in mailed links are
    /// derived from this key.
    pub mail_key: Secret<[u8; 32]>,
    /// The rules for new passwords.
    pub policy: Policy,
    /// The verifier of captchas.
    pub captcha: Arc<Verifier>,
    /// The check for breached passwords. None if no service is configured.
    pub breach: Option<Arc<Breach>>,
    /// The built-in mailbox. None if SMTP is configured.
    pub mailbox: Option<Arc<Mailbox>>,
    /// The key that gives access to the mailbox. None if the mailbox is not served.
    pub mailbox_key: Option<MailboxKey>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub gate: Gate,
    pub described: Described,
}

/// The description of the API. It is created once at startup, because it depends only on the binary
/// and the settings.
#[derive(Clone, Debug)]
pub struct Described {
    /// The response of `/openapi.json`.
    pub document: Text,
    /// The page `/docs`.
    pub reference: Text,
    /// The page `/docs` with a link to the built-in mailbox, for clients that may see the mailbox.
    /// This page exists only in development.
    pub reference_here: Option<Text>,
}

/// A response body that stays the same while the daemon runs.
#[derive(Clone, Debug)]
pub struct Text {
    pub body: Bytes,
    /// The `ETag` of the body, with its quotes.
    pub etag: String,
}

/// The permits for requests, and the state that decides whether the daemon is ready.
#[derive(Debug)]
pub struct Gate {
    /// Permits for requests in progress.
    pub in_flight: Arc<FairPermits>,
    /// Permits for requests that are still uploading a body. So a client that does not send its
    /// body holds only this permit.
    pub bodies: Arc<FairPermits>,
    /// The fair queue for requests of accounts, keys and teams that use the stores. A limited
    /// number of these requests runs at the same time. The other requests wait, and the accounts,
    /// keys and teams take turns.
    pub turns: Arc<FairSemaphore>,
    /// Permits that only refreshes use. So even if many clients log in at the same time, other
    /// users can refresh their tokens in time and keep their sessions.
    pub refreshes: Arc<FairPermits>,
    /// The state of the database schema that the prober read last.
    pub schema: SchemaWindow,
    /// Whether the daemon is shutting down.
    pub draining: AtomicBool,
    /// Limits how often the daemon warns that it ignores a forwarded header of an untrusted peer.
    pub untrusted_warning: OnceAMinute,
    /// Limits how often the daemon warns that it cannot read a forwarded header.
    pub unreadable_warning: OnceAMinute,
}

impl Gate {
    /// Creates a gate for `max_in_flight` requests.
    ///
    /// `max_in_flight` bodies can be uploaded at the same time. A body takes 16 KiB, so by default
    /// 1 024 bodies take 16 MiB. Refreshes have their own permits. Their number is a quarter of
    /// `max_in_flight`.
    ///
    /// Requests of accounts and teams use at most three quarters of the database's `connections`.
    /// So the other connections stay free for logins and refreshes. One account or team can have at
    /// most half of the requests that run at the same time ([`FairSemaphore`]).
    pub fn new(max_in_flight: usize, connections: u32) -> Self {
        let width = usize::try_from(connections).unwrap_or(usize::MAX) / 4 * 3;
        Self {
            turns: FairSemaphore::new("turns", width, max_in_flight),
            in_flight: FairPermits::new(max_in_flight),
            bodies: FairPermits::new(max_in_flight),
            refreshes: FairPermits::new((max_in_flight / 4).max(1)),
            schema: SchemaWindow::default(),
            draining: AtomicBool::new(false),
            untrusted_warning: OnceAMinute::new(),
            unreadable_warning: OnceAMinute::new(),
        }
    }
}

impl App {
    /// Number of workers that crashed since the start, for tests.
    pub fn worker_crashes(&self) -> u64 {
        self.accounts.pool().crashes()
            + self.sessions.pool().crashes()
            + self.passwords.pool().crashes()
            + self.captchas.pool().crashes()
            + self.deliveries.pool().crashes()
            + self.admission.pool().crashes()
    }

    /// Number of mails that are due and not yet sent. `u64::MAX` if the database fails.
    pub async fn pending_mail(&self) -> u64 {
        let depth = crate::mail::depth(&self.db, self.clock.now()).await;
        depth.map_or(u64::MAX, |depth| depth.waiting)
    }

    /// The use cases of accounts.
    pub fn account(&self) -> AccountService<'_> {
        AccountService {
            accounts: &self.accounts,
            sessions: &self.sessions,
            passwords: &self.passwords,
            captchas: &self.captchas,
            deliveries: &self.deliveries,
            admission: &self.admission,
            policy: &self.policy,
            breach: self.breach.as_deref(),
            db: &self.db,
            store: &self.store,
            keys: &self.keys,
            chain: &self.audit,
            clock: &self.clock,
            metrics: &self.metrics,
            config: &self.config,
        }
    }

    /// The check of a token, with its dependencies.
    pub fn check(&self) -> Check<'_> {
        Check {
            keys: &self.keys,
            issuer: &self.config.tokens.issuer,
            audience: &self.config.tokens.audience,
            store: &self.store,
            db: &self.db,
            clock: &self.clock,
        }
    }
}
