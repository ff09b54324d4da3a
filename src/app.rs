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
    /// The current `introspection.clients`. It is the only setting of an endpoint that SIGHUP
    /// changes.
    pub introspection_clients: ArcSwap<Vec<IntrospectionClient>>,
    /// The database: users, teams, mails, endings of sessions.
    pub db: Db,
    /// The token store: sessions and one-time tokens.
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
    /// All limits.
    pub admission: Admission,
    /// The key for the tokens of mailed links: `"mail-token"`, derived from the master key.
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

/// The description of the API. It is written once at startup, because it depends only on the binary
/// and the settings.
#[derive(Clone, Debug)]
pub struct Described {
    /// `/openapi.json`.
    pub document: Text,
    /// `/docs`.
    pub reference: Text,
    /// `/docs` with a link to the mailbox, for clients that may see the mailbox. Exists only in
    /// development.
    pub reference_here: Option<Text>,
}

/// A response body that stays the same while the daemon runs.
#[derive(Clone, Debug)]
pub struct Text {
    pub body: Bytes,
    /// The `ETag` of the body, with its quotes.
    pub etag: String,
}

/// Admission of requests, and readiness.
#[derive(Debug)]
pub struct Gate {
    /// Permits for requests in progress.
    pub in_flight: Arc<FairPermits>,
    /// Permits for requests that are still uploading a body: a client that withholds its body holds
    /// no other permit.
    pub bodies: Arc<FairPermits>,
    /// The fair queue for requests of accounts, keys and teams that use the stores. A limited
    /// number runs at once. The others wait in turn, each by its account, key or team.
    pub turns: Arc<FairSemaphore>,
    /// Permits only for refreshes, so that many logins at once never end other users' sessions.
    pub refreshes: Arc<FairPermits>,
    /// The schema, as the prober last read it.
    pub schema: SchemaWindow,
    /// Whether the daemon is about to stop.
    pub draining: AtomicBool,
    /// Limits the warning that an untrusted forwarded header is ignored.
    pub untrusted_warning: OnceAMinute,
    /// Limits the warning that a forwarded header cannot be read.
    pub unreadable_warning: OnceAMinute,
}

impl Gate {
    /// Creates a gate for `max_in_flight` requests.
    ///
    /// The same number of bodies can be uploaded at once. A body takes 16 KiB, so 1 024 bodies, the
    /// default, take 16 MiB. Refreshes have a quarter as many permits of their own.
    ///
    /// Requests of accounts and teams use at most three quarters of the database's `connections`.
    /// So logins and refreshes do not wait behind them. One account or team alone can have at most
    /// half of the requests in flight ([`FairSemaphore`]).
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

    /// Number of mails that are due and not sent yet, or `u64::MAX` if the database fails.
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
