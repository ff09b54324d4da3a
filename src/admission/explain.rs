//! [`LimitReport`]: the current state of the limits of an email address and its account, for
//! operators.

use std::net::IpAddr;

use uuid::Uuid;

use super::attempts::{NEWCOMERS, account_key, client_key_of};
use super::back_off::BACK_OFF;
use super::budgets::{self, Budget, BudgetSizes, Keys, Scope};
use super::codes::{CODES, code_client_key, code_key, forget_codes, sessions_key};
use crate::clock::{UnixMillis, millis};
use crate::problem::Unavailable;
use crate::store::back_off::AccountAttempts;
use crate::store::{Quota, Store};

/// What the token store contains for an email address: the login back-off, the back-off for wrong
/// codes of the second factor, and the budgets.
#[derive(Debug)]
pub struct LimitReport {
    /// The login back-off. None if the store has no failed attempt.
    pub back_off: Option<BackOffReport>,
    /// Whether `back_off` is the shared back-off. The shared back-off counts the attempts at all
    /// accounts that have no back-off of their own, because the key budget was empty.
    pub is_shared: bool,
    /// The back-off for wrong codes of the account's second factor. None if there is no wrong code.
    pub codes: Option<CodesReport>,
    /// The budgets of the email address, and of its account if there is one.
    pub budgets: Vec<BudgetReport>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOffReport {
    /// The number of failures of anonymous clients that still count. One failure expires each day.
    pub failures: u32,
    /// Until this time no anonymous client can attempt a password. None if they can attempt it now.
    pub closed_until: Option<UnixMillis>,
    /// The difficulty of the captcha that an anonymous client needs. None while the failures are
    /// below the cap.
    pub captcha: Option<u32>,
    /// How many clients that never failed can still attempt a password without that captcha.
    pub allowance: u32,
    /// The anonymous clients that have to wait.
    pub anonymous: Waiting,
    /// The known devices and sessions that have to wait.
    pub known: Waiting,
    /// The client that the operator asked about has to wait until this time.
    pub client_until: Option<UnixMillis>,
    /// Whether the client that the operator asked about needs a captcha after its wait, if captchas
    /// are configured.
    pub client_needs_captcha: bool,
}

/// The back-off for wrong codes of a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodesReport {
    /// The number of wrong codes in logins on devices without a proof of a second factor. They
    /// expire a day after the last one.
    pub failures: u32,
    /// Until this time such clients cannot use TOTP. Recovery codes are not affected. None if they
    /// can use TOTP now.
    pub closed_until: Option<UnixMillis>,
    /// The clients, devices and sessions that have to wait.
    pub waiting: Waiting,
    /// The client that the operator asked about has to wait until this time because its own codes
    /// were wrong.
    pub client_until: Option<UnixMillis>,
}

impl CodesReport {
    /// The client that the operator asked about cannot use TOTP until this time. It has to wait for
    /// its own wrong codes, and for those of all clients that are no known device.
    pub fn client_totp_until(&self) -> Option<UnixMillis> {
        self.client_until.max(self.closed_until)
    }
}

/// How many clients have to wait, and when the longest of these waits ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub clients: usize,
    pub until: Option<UnixMillis>,
}

/// The current state of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetReport {
    pub name: &'static str,
    pub burst: u32,
    pub left: u32,
    /// When an empty budget regains its next unit. None while the budget is not empty.
    pub next_at: Option<UnixMillis>,
}

/// The email address and the account whose limits are read or reset.
#[derive(Clone, Copy, Debug)]
pub struct LimitSubject<'a> {
    /// The email address in its normal form.
    pub address: &'a str,
    /// The account of the email address, if there is one.
    pub user_id: Option<Uuid>,
    /// The IP address of a client whose own wait is reported in addition.
    pub client: Option<IpAddr>,
    /// The budget sizes that come from settings.
    pub sizes: BudgetSizes,
}

impl LimitSubject<'_> {
    fn budgets(&self, keys: &Keys) -> Vec<(Budget, Quota, String)> {
        let id = self.user_id.map(|id| id.to_string());
        let of = |budget: &Budget| {
            let of = if budget.is_of_account() { id.as_deref()? } else { self.address };
            Some((*budget, budget.quota_with(self.sizes), keys.key(budget.name(), of, Scope::All)))
        };
        Budget::ALL.iter().filter_map(of).collect()
    }
}

/// Reads the limits of an email address. Changes nothing.
///
/// # Errors
/// [`Unavailable`] if the token store does not respond.
pub async fn explain(
    store: &Store,
    keys: &Keys,
    subject: LimitSubject<'_>,
    now: UnixMillis,
) -> Result<LimitReport, Unavailable> {
    let mut budgets = Vec::new();
    for (budget, quota, key) in subject.budgets(keys) {
        let (left, wait) = store.read_budget(&key, quota, now).await?;
        let next_at = wait.map(|wait| now.saturating_add(millis(wait)));
        budgets.push(BudgetReport { name: budget.name(), burst: quota.burst, left, next_at });
    }
    let own = store.attempts(&account_key(keys, subject.address), now).await?;
    let is_shared = own.is_none();
    let stored = if is_shared { store.attempts(NEWCOMERS, now).await? } else { own };
    let is_shared = is_shared && stored.is_some();
    let back_off = stored.map(|stored| {
        let failures = stored.failures(&BACK_OFF, now);
        let is_capped = failures >= BACK_OFF.failures_max;
        let waiting =
            |is_known| Waiting::of(&stored, |key| key.starts_with("known-") == is_known, now);
        let client = subject.client.map(|ip| client_key_of(keys, subject.address, ip));
        let own = client.map(|client| {
            let own = stored.client(&client, now);
            let is_exempt = own.proven_until > now || (own.failures == 0 && stored.allowance > 0);
            let meets_cap = is_capped && !is_exempt;
            (own.wait_until.max(if meets_cap { stored.open_at } else { 0 }), meets_cap)
        });
        BackOffReport {
            failures,
            closed_until: Some(stored.open_at).filter(|at| is_capped && *at > now),
            captcha: is_capped.then(|| BACK_OFF.difficulty(failures)),
            allowance: stored.allowance,
            anonymous: waiting(false),
            known: waiting(true),
            client_until: own.map(|(until, _)| until).filter(|until| *until > now),
            client_needs_captcha: own.is_some_and(|(_, meets_cap)| meets_cap),
        }
    });
    let codes = match subject.user_id {
        Some(user) => read_codes(store, keys, (user, subject.client), now).await?,
        None => None,
    };
    Ok(LimitReport { back_off, is_shared, codes, budgets })
}

/// Reads the back-off for wrong codes of an account. `client` is the client that the operator asked
/// about.
async fn read_codes(
    store: &Store,
    keys: &Keys,
    (user, client): (Uuid, Option<IpAddr>),
    now: UnixMillis,
) -> Result<Option<CodesReport>, Unavailable> {
    let of_logins = store.attempts(&code_key(keys, user), now).await?;
    let of_sessions = store.attempts(&sessions_key(keys, user), now).await?;
    let sessions = of_sessions.as_ref().map(|stored| Waiting::of(stored, |_| true, now));
    // Where only a session has sent wrong codes, there is no record of the logins.
    let of_logins = of_logins.or_else(|| of_sessions.is_some().then(AccountAttempts::default));
    Ok(of_logins.map(|stored| {
        let failures = stored.failures(&CODES, now);
        let is_closed = failures >= CODES.failures_max && stored.open_at > now;
        CodesReport {
            failures,
            closed_until: is_closed.then_some(stored.open_at),
            waiting: Waiting::of(&stored, |_| true, now).and(sessions.unwrap_or_default()),
            client_until: client
                .map(|ip| stored.client(&code_client_key(keys, user, ip), now).wait_until)
                .filter(|until| *until > now),
        }
    }))
}

impl Waiting {
    fn and(self, other: Self) -> Self {
        let clients = self.clients + other.clients;
        Self { clients, until: self.until.max(other.until) }
    }

    /// The clients of an account that have to wait and whose key is one of `whose`.
    fn of(stored: &AccountAttempts, whose: impl Fn(&str) -> bool, now: UnixMillis) -> Self {
        let clients = stored.clients.iter().filter(|(key, _)| whose(key)).map(|(_, it)| it);
        let waits = clients.filter(|it| it.expires_at > now && it.wait_until > now);
        let untils: Vec<_> = waits.map(|it| it.wait_until).collect();
        Self { clients: untils.len(), until: untils.into_iter().max() }
    }
}

/// Deletes the login back-off, the wrong codes and the budgets of an email address and its account.
/// Returns how many entries were deleted. If the account has no back-off of its own, its attempts
/// are perhaps counted in the shared back-off. So in this case the shared back-off is deleted.
///
/// # Errors
/// [`Unavailable`] if the token store does not respond. Then some entries are perhaps left.
pub async fn reset(
    store: &Store,
    keys: &Keys,
    subject: LimitSubject<'_>,
) -> Result<usize, Unavailable> {
    let account = account_key(keys, subject.address);
    let mut deleted = usize::from(store.forget_attempts(&account).await?);
    if deleted == 0 {
        // The attempts of the account are perhaps in the shared back-off. While the key budget is
        // empty, all accounts that have no back-off of their own use the shared back-off.
        deleted += usize::from(store.forget_attempts(NEWCOMERS).await?);
    }
    if let Some(user) = subject.user_id {
        deleted += usize::from(forget_codes(store, keys, user).await?);
    }
    for (budget, _, key) in subject.budgets(keys) {
        deleted += usize::from(store.forget_budget(&key).await?);
        if budget.quota_of_captchas().is_some() {
            deleted += usize::from(store.forget_budget(&budgets::bought(&key)).await?);
        }
    }
    Ok(deleted)
}
