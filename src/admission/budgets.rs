//! The sizes and the keys of the budgets that replicas share through the token store.
//!
//! The token store counts what is spent. This module contains the pure functions that give sizes
//! and keys. It also contains [`Local`], which replaces the shared budgets while the token store is
//! down. A key is a keyed digest, so a reader of the store cannot learn an email address from it.

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

/// The maximum number of keys in [`Local`], for all budgets together. The keys take up to 4 MB of
/// memory. They use memory only during an outage of the token store.
const LOCAL_KEYS_MAX: usize = 100_000;

/// The longest interval after which a budget regains one unit. The crate governor counts
/// nanoseconds in 64 bits, so the interval must be bounded. A daemon runs for less than a year, so
/// a longer interval would make no difference.
const INTERVAL_MAX: Duration = Duration::from_hours(24 * 365);

/// The budget sizes that come from settings.
#[derive(Clone, Copy, Debug)]
pub struct BudgetSizes {
    /// The setting `rate_limit.account_writes`.
    pub account_writes: u32,
    /// The setting `teams.invitations_per_day`.
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

/// The budgets. Each variant describes what spends one unit of its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Budget {
    /// Confirmation mails to one email address.
    Confirmations,
    /// Recovery mails to one email address.
    Recoveries,
    /// Notices to one email address about logins from a new device. No other mail spends from this
    /// budget.
    NewDevices,
    /// Invitations to one email address, from all teams together. Invitations have a budget of
    /// their own, so that they cannot use up the budgets of other mails.
    Invitations,
    /// Requests of one account to change its email address, whatever the new email address is.
    AddressChanges,
    /// Invitations that one user mails, for all teams together. A budget per team would not limit a
    /// user, because a user can quickly create another team.
    Inviters,
    /// Correct passwords with which logged-in users confirm changes of one account, on all devices
    /// together. A limit per device would not limit a client, because every login can create a new
    /// known device. A limit per account does, because a client cannot change its account.
    PasswordConfirmations,
    /// Logins to one account that wait for the second factor, from clients that are no known
    /// device. Only a client that knows the password can start such a login.
    Challenges,
    /// Writes of one logged-in user. Writes to the profile, sessions, teams, projects and keys
    /// count together. They are limited because each write adds an audit event, which is stored for
    /// `audit.retention`.
    AccountWrites,
    /// Revocations of vaultTokens by a user or by a project's key. A client that holds a token can
    /// revoke it without a session. So revocations do not count as [`Budget::AccountWrites`].
    Revocations,
}

impl Budget {
    /// All budgets, in the order of their discriminants.
    pub const ALL: [Self; 10] = [
        Self::Confirmations,
        Self::Recoveries,
        Self::NewDevices,
        Self::Invitations,
        Self::AddressChanges,
        Self::Inviters,
        Self::PasswordConfirmations,
        Self::Challenges,
        Self::AccountWrites,
        Self::Revocations,
    ];

    /// The default size of the budget. A full budget holds `burst` units. A budget that is not full
    /// regains one unit after each `period`.
    pub const fn quota(self) -> Quota {
        match self {
            // Three are enough for a mistyped email address, an address that another account
            // already has, and then the right address. No user needs more changes in an hour.
            Self::Confirmations | Self::Recoveries | Self::AddressChanges => per(3, HOUR),
            // A client that knows the password and sends no device token causes one notice with
            // each login. From one IP address this can be 100 notices an hour. Five notices are
            // enough for a user who logs in on a new phone, a laptop, a tablet and two browsers in
            // one evening. If more logins follow, one notice every 4 h 48 min shows the user that
            // they continue. `GET /api/me/events` lists every login.
            Self::NewDevices => per(5, DAY),
            // Six are enough for invitations to two teams on one day, if each invitation is sent
            // three times.
            Self::Invitations => per(6, HOUR),
            // This is the default of the setting `teams.invitations_per_day`.
            Self::Inviters => per(100, DAY),
            // A user typically changes the password once and the email address once. The user
            // perhaps has to enter the current password several times, because the chosen new
            // passwords are refused as known from breaches. Ten is also the number of password
            // checks that one device has in a minute.
            Self::PasswordConfirmations => per(10, HOUR),
            // As many logins as three IP addresses can make in an hour. The token store stores a
            // challenge for 5 minutes, so it stores at most 325 challenges of one account.
            Self::Challenges => per(300, HOUR),
            // For `AccountWrites` this is the default of the setting `rate_limit.account_writes`.
            // It is enough for `Revocations`, because a session gets a new vaultToken at most 60
            // times a minute and a client revokes only the few tokens that it holds.
            Self::AccountWrites | Self::Revocations => per(120, HOUR),
        }
    }

    /// The size of the budget with the current settings.
    pub(super) const fn quota_with(self, sizes: BudgetSizes) -> Quota {
        match self {
            Self::AccountWrites => per_hour(sizes.account_writes),
            Self::Inviters => per_day(sizes.invitations_per_day),
            _ => self.quota(),
        }
    }

    /// The size of the additional budget for requests with a solved captcha. None if the budget has
    /// no additional budget. An email address can receive 10 mails an hour in all: 3 without a
    /// captcha, and 7 more with one.
    pub const fn quota_of_captchas(self) -> Option<Quota> {
        match self {
            Self::Confirmations | Self::Recoveries => Some(per(7, HOUR)),
            Self::NewDevices
            | Self::Invitations
            | Self::AddressChanges
            | Self::Inviters
            | Self::PasswordConfirmations
            | Self::Challenges
            | Self::AccountWrites
            | Self::Revocations => None,
        }
    }

    /// Whether the budget belongs to an account, so that its key is made from the account's id. If
    /// not, the key is made from an email address.
    pub(super) const fn is_of_account(self) -> bool {
        match self {
            Self::Confirmations | Self::Recoveries | Self::NewDevices | Self::Invitations => false,
            Self::AddressChanges
            | Self::Inviters
            | Self::PasswordConfirmations
            | Self::Challenges
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
            Self::Challenges => "login-challenges",
            Self::AccountWrites => "account-writes",
            Self::Revocations => "revocations",
        }
    }
}

/// A budget of `burst` units. An empty budget regains them evenly within a day.
const fn per_day(burst: u32) -> Quota {
    per(if burst == 0 { 1 } else { burst }, DAY)
}

/// A budget of `burst` units. An empty budget regains them evenly within an hour.
const fn per_hour(burst: u32) -> Quota {
    per(if burst == 0 { 1 } else { burst }, HOUR)
}

/// A budget of `burst` units. An empty budget regains them evenly within `window`.
const fn per(burst: u32, window: Duration) -> Quota {
    Quota { burst, period: Duration::from_millis(window.as_secs() * 1000 / burst as u64) }
}

/// What a key counts: everything for one email address or account, or only the attempts of one
/// client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything for one email address or account.
    All,
    /// One client, identified by its IPv4 address (/32) or its IPv6 /64.
    Client(IpAddr),
}

/// Creates the keys of budgets.
#[derive(Clone)]
pub struct Keys(Secret<[u8; 32]>);

impl Keys {
    /// Derives the secret for `"limits"` from the master key. All replicas derive the same secret.
    pub fn new(master: &MasterKey) -> Self {
        Self(master.derive("limits"))
    }

    /// The key of a budget or of a back-off. It is the HMAC-SHA-256 of the name, the normalized
    /// email address and the scope, written as 43 characters of base64url.
    ///
    /// `address` is [`EmailAddress::normal`](crate::user::EmailAddress::normal), whether the
    /// address has an account or not. For a budget of an account, `address` is the account's id
    /// instead. So the key stays the same when the account changes its email address.
    pub fn key(&self, name: &str, address: &str, scope: Scope) -> String {
        let (kind, scope) = match scope {
            Scope::All => (0_u8, Vec::new()),
            Scope::Client(ip) => (1, ClientKey::narrow(ip).bytes()),
        };
        // Neither `name` nor `address` contains a NUL. So two different inputs never give the same
        // text.
        let text = [name.as_bytes(), b"\0", address.as_bytes(), b"\0", &[kind], &scope];
        URL_SAFE_NO_PAD.encode(hmac_sha256(self.0.expose(), &text.concat()))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// The key of the additional budget for requests with a solved captcha. `key` is the key of the
/// usual budget.
pub(super) fn bought(key: &str) -> String {
    format!("{key}:captchas")
}

/// Budgets in the memory of this process. They are used while the token store is down. They are
/// smaller than the shared budgets, but each holds at least one unit.
#[derive(Debug)]
pub struct Local {
    elapsed: Elapsed,
    hasher: RandomState,
    /// One limiter for each budget. The index is `Budget as usize`.
    limiters: Vec<RateLimiter<Probe, Table, Elapsed, NoOpMiddleware<Duration>>>,
}

impl Local {
    /// Creates budgets that fill `replicas` times as slowly as the shared budgets. So over a long
    /// time all replicas together admit no more than the shared budget does. A full budget of one
    /// replica holds the shared budget's burst divided by `replicas`, but at least one unit.
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

    /// Takes one unit from the budget with the key `key` ([`Keys::key`]). A solved captcha adds
    /// nothing to a local budget.
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

    /// Removes the entries of budgets that are full again. The admission worker calls this function
    /// together with the limiter's sweep.
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
