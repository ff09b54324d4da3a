//! The audit of refused passwords: one row for each action, account, client address and hour, so that wrong passwords do not
//! fill the table.
//!
//! It is written apart from the response. For an address without an account the same work is done on rows without a
//! meaning: neither the time of the response nor the load behind it reveals an account.

use std::net::IpAddr;

use sea_orm::DbErr;
use uuid::Uuid;

use super::SessionWorker;
use crate::audit::RequestOrigin;
use crate::audit::{self, Action, Actor, Detail, NAME_PREFIX, Outcome};
use crate::client_key::ClientKey;
use crate::clock::UnixMillis;
use crate::problem::Unavailable;
use crate::store::Spend;

const HOUR_MS: UnixMillis = 3_600_000;

/// A log-in, or a proof by password, that was refused.
#[derive(Clone, Debug)]
pub struct RefusedPassword {
    /// At what.
    pub tried: Tried,
    /// The address that was tried, in its normal form.
    pub address: String,
    /// The account, where there is one.
    pub account: Option<Uuid>,
    /// The client's address: its /32 or /64 is the source.
    pub client: IpAddr,
    /// Who asked, from where.
    pub origin: RequestOrigin,
}

/// At what a password was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// A login, with the reason of its refusal: `password` or `disabled`. Only the first of an hour is recorded.
    LogIn(&'static str),
    /// A change that a signed-in user has to confirm by password; with which.
    Change(&'static str),
}

impl Tried {
    const fn action(self) -> Action {
        match self {
            Self::LogIn(_) => Action::LoggedIn,
            Self::Change(_) => Action::PasswordRefused,
        }
    }

    fn detail(self) -> Detail {
        match self {
            Self::LogIn(reason) => Detail::none().word("reason", reason),
            Self::Change(at) => Detail::none().word("reason", "password").word("at", at),
        }
    }
}

impl SessionWorker {
    pub(super) async fn record_refused(&self, refused: RefusedPassword) {
        if let Err(error) = self.try_record(refused).await {
            tracing::warn!(error = %error, "a refused log-in is not in the audit");
        }
    }

    async fn try_record(&self, refused: RefusedPassword) -> Result<(), Unavailable> {
        let now = self.clock.now();
        let hour = now.div_euclid(HOUR_MS);
        let source = ClientKey::narrow(refused.client).bytes();
        let address = refused.address.as_bytes();
        // Without the reason: a disabled account would have two rows an hour, and the second would reveal that the password was
        // right.
        let mut key = self.chain.name(&[
            refused.tried.action().as_str().as_bytes(),
            address,
            &source,
            &hour.to_be_bytes(),
        ]);
        if refused.account.is_none() {
            // Addresses can be invented: theirs share 4096 keys, two characters of a digest.
            key.truncate(NAME_PREFIX.len() + 2);
        }
        let spent = self.store.spend_once(&key, (hour + 1) * HOUR_MS, now).await;
        if spent.is_err() {
            self.chain.count_failure();
        }
        match spent? {
            Spend::First => Ok(self.write(refused).await?),
            Spend::Again => Ok(()),
        }
    }

    async fn write(&self, refused: RefusedPassword) -> Result<(), DbErr> {
        let RefusedPassword { tried, account, origin, .. } = refused;
        let cx = self.change(origin);
        let tx = cx.db.begin().await?;
        if let Some(account) = account {
            let actor = match tried {
                Tried::LogIn(_) => Actor::Nobody,
                Tried::Change(_) => Actor::Person(account),
            };
            let what = (tried.action(), Outcome::Refused);
            cx.record(&tx, what, actor, (Some(account), None), tried.detail()).await?;
        } else {
            audit::decoy(&tx, cx.now).await?;
        }
        tx.commit().await
    }
}
