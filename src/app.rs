//! [`App`]: what an endpoint may touch. Built by `daemon.rs`, shared by reference, the same for every request.

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

/// Everything an endpoint needs.
#[derive(Debug)]
pub struct App {
    pub config: Config,
    /// `introspection.clients` of this moment: the one setting of an endpoint that SIGHUP changes.
    pub introspection_clients: ArcSwap<Vec<IntrospectionClient>>,
    /// Users, teams, mail, endings.
    pub db: Db,
    /// Sessions and one-time tokens.
    pub store: Store,
    pub keys: Arc<KeyRing>,
    /// Authenticates what is recorded.
    pub audit: Chain,
    /// Registration, recovery, changes and deletion of accounts.
    pub accounts: Accounts,
    /// Opening, rotating and ending sessions.
    pub sessions: Sessions,
    /// Hashing and verifying passwords.
    pub passwords: Passwords,
    /// Verifying captchas.
    pub captchas: Captchas,
    /// Delivering mail.
    pub deliveries: Deliveries,
    /// Every limit.
    pub admission: Admission,
    /// Makes the tokens of mailed links: `"mail-token"` of the master key.
    pub mail_key: Secret<[u8; 32]>,
    /// What a password has to be.
    pub policy: Policy,
    /// What judges captchas.
    pub captcha: Arc<Verifier>,
    /// Knows breached passwords; none where no service is configured.
    pub breach: Option<Arc<Breach>>,
    /// The built-in mailbox; none where there is SMTP.
    pub mailbox: Option<Arc<Mailbox>>,
    /// The key that opens the mailbox; none where the mailbox is not served.
    pub mailbox_key: Option<MailboxKey>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    /// Who is being served, and whether more may come.
    pub gate: Gate,
    /// What describes the API.
    pub described: Described,
}

/// The API, described: written once, at the start, since it changes with the binary and the settings alone.
#[derive(Clone, Debug)]
pub struct Described {
    /// `/openapi.json`.
    pub document: Text,
    /// `/docs`.
    pub reference: Text,
    /// The same with a link to the mailbox, for those who may see it; in development alone.
    pub reference_here: Option<Text>,
}

/// A text that stays the same while we run.
#[derive(Clone, Debug)]
pub struct Text {
    /// The bytes of the answer.
    pub body: Bytes,
    /// Its `ETag`, with the quotes.
    pub etag: String,
}

/// Admission of requests, and readiness.
#[derive(Debug)]
pub struct Gate {
    /// Permits of requests in progress.
    pub in_flight: Arc<FairPermits>,
    /// Permits for requests that are still uploading a body: a client that withholds its body holds no other permit.
    pub bodies: Arc<FairPermits>,
    /// Requests of accounts, keys and teams at the stores: so many at once, the others in turn by whose they are.
    pub turns: Arc<FairSemaphore>,
    /// Permits of refreshes alone, so that a storm of logins never ends other users' sessions.
    pub refreshes: Arc<FairPermits>,
    /// The schema, as the prober last read it.
    pub schema: SchemaWindow,
    /// Whether the daemon is about to stop.
    pub draining: AtomicBool,
    /// That an untrusted forwarded header is ignored.
    pub untrusted_warning: OnceAMinute,
    /// That a forwarded header cannot be read.
    pub unreadable_warning: OnceAMinute,
}

impl Gate {
    /// A gate for `max_in_flight` requests, and as many bodies that are awaited: 16 KiB each, 16 MiB of the default's 1 024. A
    /// quarter of as many refreshes have places of their own. Requests of accounts and
    /// teams use three quarters of the database's `connections`, so that nobody waits behind them who logs in or refreshes;
    /// none alone has more than half of the requests in flight ([`FairSemaphore`]).
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
    /// Workers that crashed since the start; for tests and `/readyz`.
    pub fn worker_crashes(&self) -> u64 {
        self.accounts.pool().crashes()
            + self.sessions.pool().crashes()
            + self.passwords.pool().crashes()
            + self.captchas.pool().crashes()
            + self.deliveries.pool().crashes()
            + self.admission.pool().crashes()
    }

    /// Mails that are due and have not left; `u64::MAX` when nobody can tell.
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

    /// The check of a token, with what it stands on.
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
