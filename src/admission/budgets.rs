//! Budgets that replicas share through the token store: their sizes and their keys.
//!
//! The store spends the budgets. This module contains the pure functions, and [`Local`], which
//! replaces the shared budgets while the store is down. A key is a keyed digest, so a reader of the
//! store cannot learn an address from it.

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

/// The most keys that [`Local`] holds, of all budgets together. They take 4 MB, and only during an
/// outage of the store.
const LOCAL_KEYS_MAX: usize = 100_000;

/// The longest interval after which one unit comes back. governor counts nanoseconds in 64 bits,
/// and a daemon runs for less than a year.
const INTERVAL_MAX: Duration = Duration::from_hours(24 * 365);

/// The budget sizes that come from settings.
#[derive(Clone, Copy, Debug)]
pub struct BudgetSizes {
    /// `rate_limit.account_writes`
    pub account_writes: u32,
    /// `teams.invitations_per_day`
    pub invitations_per_day: u32,
}

impl BudgetSizes {
    /// The sizes from the settings.
    pub fn of(config: &Config) -> Self {
        Self {
            account_writes: config.rate_limit.account_writes,
            invitations_per_day: config.teams.invitations_per_day,
        }
    }
}

/// A budget that requests spend from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Budget {
    /// Confirmation mails to a mailbox.
    Confirmations,
    /// Recovery mails to a mailbox.
    Recoveries,
    /// Notices to a mailbox about logins from a new device. No other mail spends from this budget.
    NewDevices,
    /// Invitations to a mailbox, from all teams together. They have a budget of their own so that
    /// they cannot use up that of other mails.
    Invitations,
    /// Changes of the email address that an account requests, to any mailbox.
    AddressChanges,
    /// Invitations that one user mails, for all teams together. A budget per team would end with
    /// the team, and a user can quickly create another team.
    Inviters,
    /// Correct passwords by which the holder of a session confirms a change of the account, on all
    /// devices together. A limit per device would not help: a client gets a known device with every
    /// login, but it cannot change its account.
    PasswordConfirmations,
    /// Writes of a logged-in user: profile, sessions, teams, projects and keys together. Each write
    /// is audited, and its audit event is stored for `audit.retention`.
    AccountWrites,
    /// Revocations of vaultTokens by a user or by a project's key. The holder of a token needs no
    /// session, so these do not count as writes of the account.
    Revocations,
}

impl Budget {
    /// All budgets, in the order of their discriminants.
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

    /// The size of the budget: `burst` units at once, and one comes back after each `period`.
    pub const fn quota(self) -> Quota {
        match self {
            // Enough for a mistyped address, an address that is taken, and then the right one. No
            // user needs more changes in an hour.
            Self::Confirmations | Self::Recoveries | Self::AddressChanges => per(3, HOUR),
            // A client that has the password and sends no device token causes one notice per login:
            // up to 100 an hour from one address. Five notices cover an evening with a new phone, a
            // laptop, a tablet and two browsers. After that, one notice every 4 h 48 min shows that
            // the logins continue, and `GET /api/me/events` lists every login.
            Self::NewDevices => per(5, DAY),
            // Enough for invitations to two teams on one day, each sent again twice.
            Self::Invitations => per(6, HOUR),
            // The default of the setting `teams.invitations_per_day`.
            Self::Inviters => per(100, DAY),
            // A user changes the password once and the address once. The user may also enter the
            // current password again a few times, because the first new passwords were known from
            // breaches. Ten is also the number of checks that one device may do in a minute.
            Self::PasswordConfirmations => per(10, HOUR),
            // Writes: the default of the setting `rate_limit.account_writes`. Revocations: a
            // session gets a new vaultToken at most 60 times a minute, and a client revokes the few
            // that it holds.
            Self::AccountWrites | Self::Revocations => per(120, HOUR),
        }
    }

    /// The size under the current settings.
    pub(super) const fn quota_with(self, sizes: BudgetSizes) -> Quota {
        match self {
            Self::AccountWrites => per_hour(sizes.account_writes),
            Self::Inviters => per_day(sizes.invitations_per_day),
            _ => self.quota(),
        }
    }

    /// What solved captchas add, as a separate budget. A mailbox gets 10 mails an hour in all, 3 of
    /// them without a captcha.
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

    /// Whether the budget's key is the account's id. Otherwise it is an email address.
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

    /// The budget's name in keys and metrics.
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

/// `burst` at once, and all of them come back over a day.
const fn per_day(burst: u32) -> Quota {
    per(if burst == 0 { 1 } else { burst }, DAY)
}

/// `burst` at once, and all of them come back over an hour.
const fn per_hour(burst: u32) -> Quota {
    per(if burst == 0 { 1 } else { burst }, HOUR)
}

/// `burst` at once, and all of them come back over `window`.
const fn per(burst: u32, window: Duration) -> Quota {
    Quota { burst, period: Duration::from_millis(window.as_secs() * 1000 / burst as u64) }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The budget of a mailbox or an account.
    All,
    /// A client address, by its /32 or /64.
    Client(IpAddr),
}

/// Creates the keys of budgets.
#[derive(Clone)]
pub struct Keys(Secret<[u8; 32]>);

impl Keys {
    /// Derives the secret for `"limits"` from the master key. All replicas derive the same one.
    pub fn new(master: &MasterKey) -> Self {
        Self(master.derive("limits"))
    }

    /// The key of a budget or a count: HMAC-SHA-256 over its name, the normal address and the
    /// scope, as 43 characters of base64url.
    ///
    /// `address` is [`EmailAddress::normal`](crate::user::EmailAddress::normal), whether the
    /// address has an account or not. A budget of an account uses the account's id instead, so that
    /// it stays the same when the account changes its address.
    pub fn key(&self, name: &str, address: &str, scope: Scope) -> String {
        let (kind, scope) = match scope {
            Scope::All => (0_u8, Vec::new()),
            Scope::Client(ip) => (1, ClientKey::narrow(ip).bytes()),
        };
        // Neither a budget's name nor an address contains NUL, so two different inputs never give
        // the same text.
        let text = [name.as_bytes(), b"\0", address.as_bytes(), b"\0", &[kind], &scope];
        URL_SAFE_NO_PAD.encode(hmac_sha256(self.0.expose(), &text.concat()))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// The key of the additional budget that solved captchas open for the budget `key`.
pub(super) fn bought(key: &str) -> String {
    format!("{key}:captchas")
}

/// Budgets in the memory of this process, used while the store is down. They are smaller than the
/// shared budgets, but never empty.
#[derive(Debug)]
pub struct Local {
    elapsed: Elapsed,
    hasher: RandomState,
    /// Indexed by `Budget as usize`.
    limiters: Vec<RateLimiter<Probe, Table, Elapsed, NoOpMiddleware<Duration>>>,
}

impl Local {
    /// Budgets that fill `replicas` times as slowly as the shared ones. So over a long time all
    /// replicas together give no more than the shared budget. At once each of them gives
    /// 1/`replicas` of the burst, and at least one.
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

    /// Takes one unit from the budget with the key `key` ([`Keys::key`]). A captcha adds nothing
    /// here.
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

    /// Removes the budgets that are full again. Runs with the limiter's sweep.
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
