//! [`LimitReport`]: the current limits of an account or a client address, for operators.

use uuid::Uuid;

use super::attempts::{NEWCOMERS, account_key, client_key_of};
use super::back_off::BACK_OFF;
use super::budgets::{self, Budget, BudgetSizes, Keys, Scope};
use crate::clock::{UnixMillis, millis};
use crate::problem::Unavailable;
use crate::store::{Quota, Store};

/// What the token store holds for an email address: its login back-off and its budgets.
#[derive(Debug)]
pub struct LimitReport {
    /// The login back-off. None if no attempt failed.
    pub back_off: Option<BackOffReport>,
    /// Whether `back_off` is the shared one. Accounts share it if they were new to the token store
    /// while the store could not add accounts.
    pub is_shared: bool,
    /// The budgets of the mailbox, and of the account if there is one.
    pub budgets: Vec<BudgetReport>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOffReport {
    /// Failures of anonymous clients that still count: one fades each day.
    pub failures: u32,
    /// Anonymous clients may not attempt a password until then.
    pub closed_until: Option<UnixMillis>,
    /// The difficulty of the captcha that an anonymous client needs at the cap. None below the cap.
    pub captcha: Option<u32>,
    /// How many clients that never failed may attempt without that captcha.
    pub allowance: u32,
    /// The anonymous clients that wait.
    pub anonymous: Waiting,
    /// The known devices and sessions that wait.
    pub known: Waiting,
    /// The client of the query waits until then.
    pub client_until: Option<UnixMillis>,
    /// Whether the client of the query needs a captcha after its wait, if captchas are configured.
    pub client_needs_captcha: bool,
}

/// How many clients wait, and when the longest wait ends.
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
    /// When the next unit comes back. None while some are left.
    pub next_at: Option<UnixMillis>,
}

/// The account or address whose limits are read or reset.
#[derive(Clone, Copy, Debug)]
pub struct LimitSubject<'a> {
    /// The email address in its normal form.
    pub address: &'a str,
    /// The account of the address, if there is one.
    pub user_id: Option<Uuid>,
    /// A client whose own wait is reported separately.
    pub client: Option<std::net::IpAddr>,
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

/// Reads the limits of an address. Changes nothing.
///
/// # Errors
/// When the token store does not respond.
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
        let waiting = |is_known: bool| {
            let untils = stored.clients.iter().filter(|(key, it)| {
                key.starts_with("known-") == is_known && it.expires_at > now && it.wait_until > now
            });
            let untils: Vec<_> = untils.map(|(_, it)| it.wait_until).collect();
            Waiting { clients: untils.len(), until: untils.into_iter().max() }
        };
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
    Ok(LimitReport { back_off, is_shared, budgets })
}

/// Deletes the login back-off and the budgets, and returns how many entries there were. An account
/// without a back-off of its own may be counted in the shared one. In that case the shared back-off
/// is deleted.
///
/// # Errors
/// When the token store does not respond. Some entries may be left then.
pub async fn reset(
    store: &Store,
    keys: &Keys,
    subject: LimitSubject<'_>,
) -> Result<usize, Unavailable> {
    let account = account_key(keys, subject.address);
    let mut deleted = usize::from(store.forget_attempts(&account).await?);
    if deleted == 0 {
        // The account may be counted in the record that all accounts share which the store could
        // not add.
        deleted += usize::from(store.forget_attempts(NEWCOMERS).await?);
    }
    for (budget, _, key) in subject.budgets(keys) {
        deleted += usize::from(store.forget_budget(&key).await?);
        if budget.quota_of_captchas().is_some() {
            deleted += usize::from(store.forget_budget(&budgets::bought(&key)).await?);
        }
    }
    Ok(deleted)
}
