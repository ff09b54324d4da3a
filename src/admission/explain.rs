//! What holds for an account or a client address now, for operators: [`LimitReport`].

use uuid::Uuid;

use super::attempts::{NEWCOMERS, account_key, client_key_of};
use super::back_off::BACK_OFF;
use super::budgets::{self, Budget, BudgetSizes, Keys, Scope};
use crate::clock::{UnixMillis, millis};
use crate::problem::Unavailable;
use crate::store::{Quota, Store};

/// What the token store holds of an email address: its login back-off and its budgets.
#[derive(Debug)]
pub struct LimitReport {
    /// The login back-off; none where no attempt failed.
    pub back_off: Option<BackOffReport>,
    /// Whether that is the one that all accounts share which were new to the store while it could add none.
    pub is_shared: bool,
    /// The budgets of the mailbox, and of the account where there is one.
    pub budgets: Vec<BudgetReport>,
}

/// The login back-off of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOffReport {
    /// Failures of anonymous clients that have not faded.
    pub failures: u32,
    /// Until when no anonymous client may attempt.
    pub closed_until: Option<UnixMillis>,
    /// The captcha that an anonymous client needs then, as `difficulty`.
    pub captcha: Option<u32>,
    /// How many clients that never failed may attempt without it.
    pub allowance: u32,
    /// Anonymous clients and known ones that wait.
    pub anonymous: Waiting,
    /// Known devices and sessions.
    pub known: Waiting,
    /// The client that was asked for waits until then.
    pub client_until: Option<UnixMillis>,
    /// Whether that client needs a captcha then, where there are captchas.
    pub client_needs_captcha: bool,
}

/// How many clients wait, and the longest of their waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub clients: usize,
    pub until: Option<UnixMillis>,
}

/// A budget as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetReport {
    pub name: &'static str,
    pub burst: u32,
    pub left: u32,
    /// Where none is left: when one is back.
    pub next_at: Option<UnixMillis>,
}

/// Whose limits are asked for.
#[derive(Clone, Copy, Debug)]
pub struct LimitSubject<'a> {
    /// The email address in its normal form.
    pub address: &'a str,
    /// Its account, where there is one.
    pub user_id: Option<Uuid>,
    /// One client of it, to be reported apart.
    pub client: Option<std::net::IpAddr>,
    /// The sizes of budgets that settings change.
    pub sizes: BudgetSizes,
}

impl LimitSubject<'_> {
    /// The budgets, each with its size and its key.
    fn budgets(&self, keys: &Keys) -> Vec<(Budget, Quota, String)> {
        let id = self.user_id.map(|id| id.to_string());
        let of = |budget: &Budget| {
            let of = if budget.is_of_account() { id.as_deref()? } else { self.address };
            Some((*budget, budget.quota_with(self.sizes), keys.key(budget.name(), of, Scope::All)))
        };
        Budget::ALL.iter().filter_map(of).collect()
    }
}

/// Reads what holds. Changes nothing.
///
/// # Errors
/// When the token store does not answer.
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

/// Deletes the login back-off and the budgets; how many entries there were. An account without a back-off of its own may be
/// counted in the shared one, which is deleted then.
///
/// # Errors
/// When the token store does not answer: then some may be left.
pub async fn reset(
    store: &Store,
    keys: &Keys,
    subject: LimitSubject<'_>,
) -> Result<usize, Unavailable> {
    let account = account_key(keys, subject.address);
    let mut deleted = usize::from(store.forget_attempts(&account).await?);
    if deleted == 0 {
        // The account may be counted with others that the store could not add.
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
