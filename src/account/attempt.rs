//! [`LoginAttempt`]: one check of a password. Every use case that checks one goes through here: all attempts count against
//! the account, and count before the password is verified.
//!
//! The order keeps the responses alike: the limits by address and the back-off refuse a client before any lookup of an
//! account.

use std::time::Duration;

use tokio::time::timeout_at;

use super::{AccountError, AccountService};
use crate::admission::attempts::Try;
use crate::admission::device::Device;
use crate::admission::{Action, AttemptClient, Client, Decision, Limited};
use crate::config::CaptchaPoint;
use crate::password::Verdict;
use crate::problem::Unavailable;
use crate::secret::Secret;
use crate::session::AccountStatus;
use crate::store::Captcha;

/// The time that a request needs to cancel an attempt before its deadline; after the deadline nothing would cancel it.
const CANCEL_WITHIN: Duration = Duration::from_millis(100);

/// An attempt that has begun.
#[derive(Debug)]
pub struct LoginAttempt {
    address: String,
    client: AttemptClient,
    /// What the device's token says; [`AccountService::verify`] finds out whether it still holds.
    device: Option<Device>,
}

impl LoginAttempt {
    /// The device that is known to the account, once the password was right.
    pub fn device(&self) -> Option<Device> {
        self.device
    }
}

impl AccountService<'_> {
    /// Begins an attempt: spends one of the limit by address, unless the request carries the token of a device that is known
    /// to `address`. Any other token counts as none.
    ///
    /// Where the hash queue is full the attempt ends here, before anything is counted: an overload must not raise the
    /// back-off of users with the right password.
    pub(super) fn begin(
        &self,
        client: &mut Client,
        address: &str,
    ) -> Result<LoginAttempt, AccountError> {
        self.passwords.has_permit(client.key)?;
        let device = self.device_of(client, address);
        if device.is_none() {
            self.limit(client, Action::Login)?;
        }
        let address = address.to_owned();
        Ok(LoginAttempt { address, client: AttemptClient::Source(client.ip), device })
    }

    /// The device of the request, where it is known to this account under the current password.
    pub(super) fn known_device(&self, client: &Client, account: &AccountStatus) -> Option<Device> {
        self.device_of(client, &account.email_normal)
            .filter(|device| device.knows(account.id, account.password_version))
    }

    fn device_of(&self, client: &Client, address: &str) -> Option<Device> {
        let token = client.device_token.as_deref()?;
        self.devices.read(token, address, self.clock.now())
    }

    /// The token that makes the client a known device of the account for 90 days from now. A device that was known keeps its
    /// id.
    pub(super) fn device_token(&self, account: &AccountStatus, known: Option<Device>) -> String {
        let whose = (account.id, account.password_version);
        self.devices.issue(&account.email_normal, whose, known, self.clock.now())
    }

    /// Counts an attempt of a client without a known device. With `login-after-failures` in `captcha.on` a captcha takes the
    /// place of the short waits. [`AccountService::verify`] counts the attempt of a device.
    pub(super) async fn admit(
        &self,
        client: &Client,
        attempt: &LoginAttempt,
        captcha: Option<String>,
    ) -> Result<(), AccountError> {
        if attempt.device.is_some() {
            return Ok(());
        }
        let point = CaptchaPoint::LoginAfterFailures;
        if !self.captchas.is_needed(point) {
            return self.count(client, attempt, Captcha::NotAsked).await;
        }
        match self.decide(client, attempt, Captcha::Missing).await? {
            Try::CaptchaNeeded => {
                self.captchas.demand((client.ip, client.deadline), point, true, captcha).await?;
                self.count(client, attempt, Captcha::Solved).await
            }
            other => self.admitted(attempt, other),
        }
    }

    async fn count(
        &self,
        client: &Client,
        attempt: &LoginAttempt,
        captcha: Captcha,
    ) -> Result<(), AccountError> {
        let decided = self.decide(client, attempt, captcha).await?;
        self.admitted(attempt, decided)
    }

    async fn decide(
        &self,
        client: &Client,
        attempt: &LoginAttempt,
        captcha: Captcha,
    ) -> Result<Try, Unavailable> {
        self.budgets.admit(&attempt.address, attempt.client, captcha, client.deadline).await
    }

    fn admitted(&self, attempt: &LoginAttempt, decided: Try) -> Result<(), AccountError> {
        match decided {
            Try::Admitted => Ok(()),
            // The wait also covers the limit that the next attempt meets first.
            Try::Wait { retry_after_s } => {
                let next = match attempt.client {
                    AttemptClient::Source(ip) => self.limiter.look(Action::Login, ip),
                    AttemptClient::Device(device) => self.limiter.look_device(&device.id()),
                };
                let then = match next {
                    Decision::Limited { retry_after_s, .. } => retry_after_s,
                    Decision::Unlimited | Decision::Allowed(_) => 0,
                };
                Err(Limited { retry_after_s: retry_after_s.max(then) }.into())
            }
            Try::CaptchaNeeded => Err(AccountError::CaptchaInvalid),
        }
    }

    /// Counts the attempt of a user who is logged in, without a known device.
    pub(super) async fn admit_confirmation(
        &self,
        client: &Client,
        attempt: &LoginAttempt,
    ) -> Result<(), AccountError> {
        if attempt.device.is_some() {
            return Ok(());
        }
        self.count(client, attempt, Captcha::NotAsked).await
    }

    /// The account of an attempt that was admitted. Where the database does not answer, or only when the request has no time
    /// left, the attempt is cancelled: it was counted, and reveals nothing.
    pub(super) async fn account_of(
        &self,
        client: &Client,
        attempt: &LoginAttempt,
    ) -> Result<Option<AccountStatus>, Unavailable> {
        let lookup = AccountStatus::by_email(self.db, &attempt.address);
        let found = match timeout_at(client.deadline - CANCEL_WITHIN, lookup).await {
            Ok(found) => found.map_err(Unavailable::from),
            Err(late) => Err(Unavailable::because("database", late)),
        };
        if found.is_err() && attempt.device.is_none() {
            self.budgets.cancel_attempt(&attempt.address, attempt.client);
        }
        found
    }

    /// Verifies the password of an attempt that was admitted. Without an account a decoy is verified, so that the time reveals
    /// nothing. An attempt that ends without a verdict, for want of time or by a crash, is cancelled.
    ///
    /// A device that does not know the account's current password counts as a client without a device.
    pub(super) async fn verify(
        &self,
        client: &mut Client,
        attempt: &mut LoginAttempt,
        account: Option<&AccountStatus>,
        password: Secret<String>,
    ) -> Result<Verdict, AccountError> {
        if let Some(device) = attempt.device {
            let knows =
                |account: &AccountStatus| device.knows(account.id, account.password_version);
            if account.is_some_and(knows) {
                let id = device.id();
                attempt.client = AttemptClient::Device(device);
                self.limiter.look_device(&id).report(&mut client.rate)?;
                self.count(client, attempt, Captcha::NotAsked).await?;
                // Each right password resets the device's back-off; a hash costs as much then.
                self.limiter.check_device(&id).enforce(&mut client.rate, self.metrics)?;
            } else {
                attempt.device = None;
                self.limit(client, Action::Login)?;
                self.count(client, attempt, Captcha::NotAsked).await?;
            }
        }
        let stored = account.map(|account| account.password_hash.clone());
        let (key, deadline) = (client.key, client.deadline);
        let verdict = match self.passwords.verify(key, deadline, password, stored).await {
            Ok(verdict) => verdict,
            Err(unavailable) => {
                self.budgets.cancel_attempt(&attempt.address, attempt.client);
                return Err(unavailable.into());
            }
        };
        if verdict != Verdict::Mismatch {
            let reset = self.budgets.reset_attempts(&attempt.address, attempt.client, deadline);
            if let Err(error) = reset.await {
                tracing::warn!(error = %error, "a right password still counts as a failure");
            }
        }
        Ok(verdict)
    }

    /// Resets the attempts at a former password, after a change or a reset. Other devices are unknown from then on.
    pub(super) async fn reset_attempts(&self, client: &Client, address: &str) {
        if let Err(error) = self.budgets.reset_all_attempts(address, client.deadline).await {
            tracing::warn!(error = %error, "attempts at a former password still count");
        }
    }
}
