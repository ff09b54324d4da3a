//! [`LoginAttempt`]: one check of a password. Every use case that checks one goes through here: all attempts count against
//! the account, and count before the password is verified.
//!
//! The order keeps the responses alike: the limits by address and the back-off refuse an anonymous client before any
//! lookup of an account.

use std::time::Duration;

use tokio::time::timeout_at;

use super::{AccountError, AccountService};
use crate::admission::device::Device;
use crate::admission::{AttemptCaptcha, AttemptClient, Client, CountedAttempt, Limited};
use crate::captcha::{CaptchaError, Demand};
use crate::config::CaptchaPoint;
use crate::password::Verdict;
use crate::problem::Unavailable;
use crate::secret::Secret;
use crate::session::AccountStatus;

/// The time that a request needs to cancel an attempt before its deadline; after the deadline nothing would cancel it.
const CANCEL_WITHIN: Duration = Duration::from_millis(100);

/// An attempt that has begun.
#[derive(Debug)]
pub struct LoginAttempt {
    address: String,
    client: AttemptClient,
    /// What the device's token says; [`AccountService::verify`] finds out whether it still holds.
    device: Option<Device>,
    /// What the request sent as `captcha`.
    captcha: Option<String>,
    /// Set once it is admitted.
    counted: Option<CountedAttempt>,
}

impl LoginAttempt {
    /// The device that is known to the account, once the password was right.
    pub fn device(&self) -> Option<Device> {
        self.device
    }
}

impl AccountService<'_> {
    /// Begins an attempt. Where the limit by address has none left, an anonymous client ends here. The token of a device that
    /// is known to `address` and a live session of its account have a limit of their own; any other token counts as none.
    ///
    /// Where the hash queue is full the attempt ends here, before anything is counted: an overload must not raise the
    /// back-off of users with the right password.
    pub(super) async fn begin(
        &self,
        client: &mut Client<'_>,
        address: &str,
    ) -> Result<LoginAttempt, AccountError> {
        self.passwords.has_permit(client.key)?;
        let device = self.device_of(client, address);
        let session = client.session.as_ref().filter(|it| it.address == address);
        let of_client = match session {
            Some(session) => AttemptClient::Session(session.sid.clone()),
            None => AttemptClient::Anonymous(client.ip),
        };
        if device.is_none() && session.is_none() {
            self.within_limit(client, address, &of_client).await?;
        }
        Ok(LoginAttempt {
            address: address.to_owned(),
            client: of_client,
            device,
            captcha: None,
            counted: None,
        })
    }

    /// Refuses where the limit by address has none left.
    async fn within_limit(
        &self,
        client: &mut Client<'_>,
        address: &str,
        who: &AttemptClient,
    ) -> Result<(), Limited> {
        let captcha = self.attempt_captcha(0);
        self.admission.look_at_attempt(address, who, captcha, client.rate).await
    }

    fn attempt_captcha(&self, solved: u32) -> AttemptCaptcha {
        AttemptCaptcha {
            available: self.captchas.is_on(),
            replaces_waits: self.captchas.is_needed(CaptchaPoint::LoginAfterFailures),
            solved,
        }
    }

    /// The device of the request, where it is known to this account under the current password.
    pub(super) fn known_device(
        &self,
        client: &Client<'_>,
        account: &AccountStatus,
    ) -> Option<Device> {
        self.device_of(client, &account.email_normal)
            .filter(|device| device.knows(account.id, account.password_version))
    }

    fn device_of(&self, client: &Client<'_>, address: &str) -> Option<Device> {
        let token = client.device_token.as_deref()?;
        self.admission.devices.read(token, address, self.clock.now())
    }

    /// The token that makes the client a known device of the account for 90 days from now. A device that was known keeps its
    /// id.
    pub(super) fn device_token(&self, account: &AccountStatus, known: Option<Device>) -> String {
        let whose = (account.id, account.password_version);
        self.admission.devices.issue(&account.email_normal, whose, known, self.clock.now())
    }

    /// Admits an attempt of a client without a known device. [`AccountService::verify`] admits the attempt of a device, once
    /// it knows whether the account knows it.
    pub(super) async fn admit_unless_device(
        &self,
        client: &mut Client<'_>,
        attempt: &mut LoginAttempt,
        captcha: Option<String>,
    ) -> Result<(), AccountError> {
        attempt.captcha = captcha;
        if attempt.device.is_some() {
            return Ok(());
        }
        self.admit_now(client, attempt).await
    }

    /// Beyond the account's cap an anonymous client needs a captcha, and with `login-after-failures` in `captcha.on` one
    /// replaces the short waits. It is verified only where it is needed.
    async fn admit_now(
        &self,
        client: &mut Client<'_>,
        attempt: &mut LoginAttempt,
    ) -> Result<(), AccountError> {
        let payload = attempt.captcha.take();
        let needed = match self.count(client, attempt, 0).await {
            Err(AccountError::CaptchaNeeded { difficulty }) if payload.is_some() => difficulty,
            other => return other,
        };
        let demand = Demand::of_difficulty(CaptchaPoint::LoginAfterFailures, needed);
        match self.captchas.demand((client.ip, client.deadline), demand, payload).await {
            Ok(_) => self.count(client, attempt, needed).await,
            Err(CaptchaError::Invalid) => Err(AccountError::CaptchaNeeded { difficulty: needed }),
            Err(error) => Err(error.into()),
        }
    }

    async fn count(
        &self,
        client: &mut Client<'_>,
        attempt: &mut LoginAttempt,
        solved: u32,
    ) -> Result<(), AccountError> {
        let captcha = self.attempt_captcha(solved);
        let (address, who) = (&attempt.address, &attempt.client);
        let admitted = self.admission.admit_attempt(address, who, captcha, client.rate);
        attempt.counted = Some(admitted.await?);
        Ok(())
    }

    /// The account of an attempt that was admitted. Where the database fails, or no time is left to wait for it, the attempt is
    /// cancelled: the client has learned nothing by it.
    pub(super) async fn account_of(
        &self,
        client: &Client<'_>,
        attempt: &LoginAttempt,
    ) -> Result<Option<AccountStatus>, Unavailable> {
        let lookup = AccountStatus::by_email(self.db, &attempt.address);
        let found = match timeout_at(client.deadline - CANCEL_WITHIN, lookup).await {
            Ok(found) => found.map_err(Unavailable::from),
            Err(late) => Err(Unavailable::because("database", late)),
        };
        if found.is_err() {
            self.cancel(attempt);
        }
        found
    }

    /// Verifies the password of an attempt that was admitted. Without an account a decoy is verified, so that the time reveals
    /// nothing. An attempt that ends without a verdict, for want of time or by a crash, is cancelled.
    ///
    /// A device that does not know the account's current password counts as a client without a device.
    pub(super) async fn verify(
        &self,
        client: &mut Client<'_>,
        attempt: &mut LoginAttempt,
        account: Option<&AccountStatus>,
        password: Secret<String>,
    ) -> Result<Verdict, AccountError> {
        if let Some(device) = attempt.device {
            let knows =
                |account: &AccountStatus| device.knows(account.id, account.password_version);
            if account.is_some_and(knows) {
                attempt.client = AttemptClient::Device(device);
            } else {
                attempt.device = None;
                if matches!(attempt.client, AttemptClient::Anonymous(_)) {
                    self.within_limit(client, &attempt.address, &attempt.client).await?;
                }
            }
            self.admit_now(client, attempt).await?;
        }
        let stored = account.map(|account| account.password_hash.clone());
        let (key, deadline) = (client.key, client.deadline);
        let verdict = match self.passwords.verify(key, deadline, password, stored).await {
            Ok(verdict) => verdict,
            Err(unavailable) => {
                self.cancel(attempt);
                return Err(unavailable.into());
            }
        };
        if verdict != Verdict::Mismatch
            && let Some(counted) = &attempt.counted
            && let Err(error) = self.admission.reset_attempts(counted).await
        {
            tracing::warn!(error = %error, "a right password still counts as a failure");
        }
        Ok(verdict)
    }

    fn cancel(&self, attempt: &LoginAttempt) {
        if let Some(counted) = &attempt.counted {
            self.admission.cancel_attempt(counted);
        }
    }

    /// The client has set a new password: the cap does not hold for it. Other devices are unknown from then on.
    pub(super) async fn prove_client(&self, client: &Client<'_>, address: &str) {
        if let Err(error) = self.admission.prove_client(address, client.ip).await {
            tracing::warn!(error = %error, "the client that set a new password stays anonymous");
        }
    }
}
