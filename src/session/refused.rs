//! The recording of refused passwords in the audit. There is at most one row for each combination
//! of action, account, IP address of the client and hour, so that wrong passwords do not fill the
//! table.
//!
//! A worker writes the row, and the response does not wait for it. If an email address has no
//! account, the worker does the same work on decoy rows. So neither the response time nor the load
//! reveals whether an account exists.

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

/// A refused login, or a refused confirmation of a change by password.
#[derive(Clone, Debug)]
pub struct RefusedPassword {
    pub tried: Tried,
    /// The email address of the attempt, in its normal form.
    pub address: String,
    /// The account, if there is one.
    pub account: Option<Uuid>,
    /// The client's IP address. For the limit of one row an hour, all IPv6 addresses in the same
    /// /64 count as one address.
    pub client: IpAddr,
    pub origin: RequestOrigin,
}

/// The action for which the refused password was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// A login, with the reason of its refusal: `password`, `passkey` or `disabled`. Only the first
    /// refused login of an hour is recorded.
    LogIn(&'static str),
    /// The name of a change that a logged-in user had to confirm by password.
    Change(&'static str),
    /// A wrong code of a second factor, at a `login` or at a `step-up`.
    Code(&'static str),
    /// A wrong passkey as a second factor, at a `login` or at a `step-up`.
    Passkey(&'static str),
}

impl Tried {
    const fn action(self) -> Action {
        match self {
            Self::LogIn(_) => Action::LoggedIn,
            Self::Change(_) => Action::PasswordRefused,
            Self::Code(_) | Self::Passkey(_) => Action::FactorRefused,
        }
    }

    fn detail(self) -> Detail {
        match self {
            Self::LogIn(reason) => Detail::none().word("reason", reason),
            Self::Change(at) => Detail::none().word("reason", "password").word("at", at),
            Self::Code(at) => Detail::none().word("reason", "code").word("at", at),
            Self::Passkey(at) => Detail::none().word("reason", "passkey").word("at", at),
        }
    }
}

impl SessionWorker {
    pub(super) async fn record_refused(&self, refused: RefusedPassword) {
        if let Err(error) = self.try_record(refused).await {
            tracing::warn!(error = %error, "cannot record a refused password in the audit");
        }
    }

    async fn try_record(&self, refused: RefusedPassword) -> Result<(), Unavailable> {
        let now = self.clock.now();
        let hour = now.div_euclid(HOUR_MS);
        let source = ClientKey::narrow(refused.client).bytes();
        let address = refused.address.as_bytes();
        // The key of the limit does not contain the reason of the refusal. Otherwise a disabled
        // account could get two rows in an hour, and the row with the reason `disabled` would
        // reveal that the password was right.
        let mut key = self.chain.name(&[
            refused.tried.action().as_str().as_bytes(),
            address,
            &source,
            &hour.to_be_bytes(),
        ]);
        if refused.account.is_none() {
            // A client can invent any number of email addresses. So all addresses without an
            // account share 4096 keys, which differ in two characters of a digest.
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
                Tried::Change(_) | Tried::Code(_) | Tried::Passkey(_) => Actor::Person(account),
            };
            let what = (tried.action(), Outcome::Refused);
            cx.record(&tx, what, actor, (Some(account), None), tried.detail()).await?;
        } else {
            audit::decoy(&tx, cx.now).await?;
        }
        tx.commit().await
    }
}
