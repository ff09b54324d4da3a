//! What replicas share through the store: budgets of mailboxes, their sizes and the keys they go by.
//!
//! The store spends them; here is only what is pure, and [`Local`], which stands in while the store is down. A key is
//! a keyed digest: a reader of the store learns no address.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use governor::RateLimiter;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;

use super::client::Limited;
use super::limiter::{quota, seconds_up};
use super::table::{Census, Elapsed, Mode, Probe, Table, wait};
use crate::client_key::ClientKey;
use crate::clock::Clock;
use crate::config::{Config, RateLimits};
use crate::secret::{MasterKey, Secret, hmac_sha256};
use crate::store::Quota;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Keys that [`Local`] holds at most, of all budgets together: 4 MB. It is needed for the length of an outage.
const LOCAL_KEYS_MAX: usize = 100_000;

/// The longest that one unit takes to come back: governor counts nanoseconds in 64 bits, and a daemon lives for less.
const INTERVAL_MAX: Duration = Duration::from_hours(24 * 365);

/// The sizes of budgets that settings change.
#[derive(Clone, Copy, Debug)]
pub struct BudgetSizes {
    /// `rate_limit.account_writes`
    pub account_writes: u32,
    /// `teams.invitations_per_day`
    pub invitations_per_day: u32,
}

impl BudgetSizes {
    /// As the settings say.
    pub fn of(config: &Config) -> Self {
        Self {
            account_writes: config.rate_limit.account_writes,
            invitations_per_day: config.teams.invitations_per_day,
        }
    }
}

/// What is spent from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Budget {
    /// Confirmation mails to a mailbox.
    Confirmations,
    /// Recovery mails to a mailbox.
    Recoveries,
    /// Notices of log-ins from a new device, to a mailbox. No other mail spends from it, and other notices from none.
    NewDevices,
    /// Invitations to a mailbox, of all teams: they crowd out nothing else.
    Invitations,
    /// Changes of address that an account asks for, whichever mailboxes they are to.
    AddressChanges,
    /// Invitations that one person mails, of all teams: a team's own count goes with the team, and a new one is soon made.
    Inviters,
    /// Right passwords by which the holder of a session confirms a change of the account, on all devices together. A client
    /// has as many known devices as it logs in from; it cannot change its account.
    PasswordConfirmations,
    /// Writes of a signed-in user: profile, sessions, teams, projects and keys together. Each is audited, and the audit is
    /// kept for `audit.retention`.
    AccountWrites,
    /// Revocations of vaultTokens of a user or a project's key. The holder of a token needs no session, so that these are none
    /// of the account's writes.
    Revocations,
}

impl Budget {
    /// Every budget, in the order of its discriminant.
    pub const ALL: [Self; 9] = [
        Self::Confirmations,
        Self::Recoveries,
        Self::NewDevices,
        Self::Invitations,
        Self::AddressChanges,
        Self::Inviters,
        Self::PasswordConfirmations,
        Self::AccountWrites,
        Self::Revocations,
    ];

    /// Its size: `burst` at once, one back each `period`.
    pub const fn quota(self) -> Quota {
        match self {
            // An address that was mistyped and one that is taken, and then the right one: nobody moves more often.
            Self::Confirmations | Self::Recoveries | Self::AddressChanges => per(3, HOUR),
            // Whoever has the password and shows no device causes one with each log-in, up to 100 an hour from one address.
            // Five tell of an evening with a new phone, a laptop, a tablet and two browsers; then one every 4 h 48 min
            // still tells that it goes on, and `GET /api/me/events` has every log-in.
            Self::NewDevices => per(5, DAY),
            // Two teams on one day, and each sends again twice.
            Self::Invitations => per(6, HOUR),
            // The default of the setting `teams.invitations_per_day`.
            Self::Inviters => per(100, DAY),
            // A user changes the password and the address once, and picks another new password a few times because
            // the first ones were breached. As many as one device may check in a minute.
            Self::PasswordConfirmations => per(10, HOUR),
            // Writes: the default of the setting `rate_limit.account_writes`. Revocations: a session gets a new vaultToken 60
            // times a minute; a client revokes the few that it holds.
            Self::AccountWrites | Self::Revocations => per(120, HOUR),
        }
    }

    /// Its size under the settings.
    pub(super) const fn quota_with(self, sizes: BudgetSizes) -> Quota {
        match self {
            Self::AccountWrites => per_hour(sizes.account_writes),
            Self::Inviters => per_day(sizes.invitations_per_day),
            _ => self.quota(),
        }
    }

    /// What captchas buy beyond it, out of a bucket of its own: a mailbox gets 10 an hour in all, 3 of them for nothing.
    pub const fn quota_of_captchas(self) -> Option<Quota> {
        match self {
            Self::Confirmations | Self::Recoveries => Some(per(7, HOUR)),
            Self::NewDevices
            | Self::Invitations
            | Self::AddressChanges
            | Self::Inviters
            | Self::PasswordConfirmations
            | Self::AccountWrites
            | Self::Revocations => None,
        }
    }

    /// Whether it is spent by the account's id; else by an email address.
    pub(super) const fn is_of_account(self) -> bool {
        match self {
            Self::Confirmations | Self::Recoveries | Self::NewDevices | Self::Invitations => false,
            Self::AddressChanges
            | Self::Inviters
            | Self::PasswordConfirmations
            | Self::AccountWrites
            | Self::Revocations => true,
        }
    }

    /// Its name in keys and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmations => "confirmations",
            Self::Recoveries => "recoveries",
            Self::NewDevices => "new-devices",
            Self::Invitations => "invitations",
            Self::AddressChanges => "address-changes",
            Self::Inviters => "inviters",
            Self::PasswordConfirmations => "password-confirmations",
            Self::AccountWrites => "account-writes",
            Self::Revocations => "revocations",
        }
    }
}

/// So many at once, and all of them back over a day.
const fn per_day(burst: u32) -> Quota {
    per(if burst == 0 { 1 } else { burst }, DAY)
}

/// So many at once, and all of them back over an hour.
const fn per_hour(burst: u32) -> Quota {
    per(if burst == 0 { 1 } else { burst }, HOUR)
}

/// `burst` at once, and all of them back over `window`.
const fn per(burst: u32, window: Duration) -> Quota {
    Quota { burst, period: Duration::from_millis(window.as_secs() * 1000 / burst as u64) }
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The budget of a mailbox or an account.
    All,
    /// A client address, by its /32 or /64.
    Client(IpAddr),
}

/// Makes the keys of budgets.
#[derive(Clone)]
pub struct Keys(Secret<[u8; 32]>);

impl Keys {
    /// Keys under a key of their own, `"limits"`; all replicas have the same.
    pub fn new(master: &MasterKey) -> Self {
        Self(master.derive("limits"))
    }

    /// The key of a budget or a count by its name: HMAC-SHA-256 over name, normal address and scope, 43 characters of base64url.
    ///
    /// `address` is [`EmailAddress::normal`](crate::user::EmailAddress::normal), whether it has an account or not; for
    /// what an account has of its own, wherever it moves, its id, which is no address.
    pub fn key(&self, name: &str, address: &str, scope: Scope) -> String {
        let (kind, scope) = match scope {
            Scope::All => (0_u8, Vec::new()),
            Scope::Client(ip) => (1, ClientKey::narrow(ip).bytes()),
        };
        // Neither a budget's name nor an address contains NUL, so no two inputs read alike.
        let text = [name.as_bytes(), b"\0", address.as_bytes(), b"\0", &[kind], &scope];
        URL_SAFE_NO_PAD.encode(hmac_sha256(self.0.expose(), &text.concat()))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// The key of what solved captchas buy on top of the budget `key`.
pub(super) fn bought(key: &str) -> String {
    format!("{key}:captchas")
}

/// Budgets in this process's memory, for while the store is down: smaller, never none.
#[derive(Debug)]
pub struct Local {
    elapsed: Elapsed,
    hasher: RandomState,
    /// By `Budget as usize`.
    limiters: Vec<RateLimiter<Probe, Table, Elapsed, NoOpMiddleware<Duration>>>,
}

impl Local {
    /// Budgets of 1/replicas of the shared ones each: they fill so much more slowly, so that together they give no more
    /// in the long run; at once each gives its share of the burst, and one at least.
    pub fn new(clock: Clock, settings: RateLimits, sizes: BudgetSizes) -> Self {
        let elapsed = Elapsed::new(clock);
        let census = Arc::new(Census { live: AtomicUsize::new(0), keys_max: LOCAL_KEYS_MAX });
        let limiter = |budget: Budget| {
            let Quota { burst, period } = budget.quota_with(sizes);
            let replicas = settings.replicas.max(1);
            let share = (burst / replicas).max(1);
            let interval = period.saturating_mul(replicas).min(INTERVAL_MAX);
            RateLimiter::new(
                quota(share, interval * share),
                Table::new(Arc::clone(&census)),
                elapsed.clone(),
            )
        };
        let limiters = Budget::ALL.into_iter().map(limiter).collect();
        Self { elapsed, hasher: RandomState::new(), limiters }
    }

    /// Takes one from the budget that `key` ([`Keys::key`]) names. A captcha buys nothing here.
    pub fn spend(&self, budget: Budget, key: &str) -> Result<(), Limited> {
        let probe = Probe { source: self.hasher.hash_one(key), mode: Mode::Spend };
        match self.limiters[budget as usize].check_key(&probe) {
            Ok(()) => Ok(()),
            Err(refusal) => {
                let wait = wait(&refusal, self.elapsed.now());
                Err(Limited { retry_after_s: seconds_up(wait).max(1) })
            }
        }
    }

    /// Forgets the budgets that are full again; with the limiter's sweep.
    pub fn sweep(&self) {
        for limiter in &self.limiters {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
#[path = "budgets_tests.rs"]
mod tests;
