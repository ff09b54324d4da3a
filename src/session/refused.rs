//! Log-ins that were refused: one row of audit an account, source and hour, so that nobody fills the table by guessing.
//!
//! It is done apart from the answer, and for an address without an account the same work is done on rows that nobody
//! reads: neither the answer's time nor the load behind it tells of an account.

use std::net::IpAddr;

use sea_orm::DbErr;
use uuid::Uuid;

use super::Keeper;
use crate::audit::{self, Action, Actor, Detail, Outcome};
use crate::clock::UnixMillis;
use crate::limits::budgets::source_prefix;
use crate::problem::Unavailable;
use crate::registration::Origin;
use crate::store::Spend;

const HOUR_MS: UnixMillis = 3_600_000;

/// A log-in that was refused.
#[derive(Clone, Debug)]
pub struct RefusedLogin {
    /// The address that was tried, in its normal form.
    pub address: String,
    /// The account, where there is one.
    pub account: Option<Uuid>,
    /// Why: `password` or `disabled`.
    pub reason: &'static str,
    /// The client's address: its /32 or /64 is the source.
    pub client: IpAddr,
    /// Who asked, from where.
    pub origin: Origin,
}

impl Keeper {
    pub(super) async fn note_refused(&self, refused: &RefusedLogin) {
        if let Err(error) = self.try_note(refused).await {
            tracing::warn!(error = %error, "a refused log-in is not in the audit");
        }
    }

    async fn try_note(&self, refused: &RefusedLogin) -> Result<(), Unavailable> {
        let now = self.clock.now();
        let hour = now.div_euclid(HOUR_MS);
        let source = source_prefix(refused.client);
        let key = self.audit.name(&[
            refused.address.as_bytes(),
            &source,
            refused.reason.as_bytes(),
            &hour.to_be_bytes(),
        ]);
        let spent = self.store.spend_once(&key, (hour + 1) * HOUR_MS, now).await;
        if spent.is_err() {
            self.audit.count_failure();
        }
        match spent? {
            Spend::First => Ok(self.write(refused, now).await?),
            Spend::Again => Ok(()),
        }
    }

    async fn write(&self, refused: &RefusedLogin, now: UnixMillis) -> Result<(), DbErr> {
        let tx = self.db.begin().await?;
        if let Some(account) = refused.account {
            let what = (Action::LoggedIn, Outcome::Refused);
            let detail = Detail::none().word("reason", refused.reason);
            self.tell(&tx, what, Actor::Nobody, account, detail, &refused.origin).await?;
        } else {
            audit::decoy(&tx, now).await?;
        }
        tx.commit().await
    }
}
