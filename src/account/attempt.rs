//! [`LoginAttempt`]: one check of a password, with the limits that apply to it.
//!
//! Every use case that checks a password uses this module. Each attempt counts against the account.
//! The attempt is counted before the password is verified.
//!
//! If the limit by IP address or the back-off refuses an anonymous client, it does so before the
//! account is looked up. So this response is the same for every email address, with or without an
//! account.

use std::time::Duration;

use tokio::time::timeout_at;

use super::{AccountError, AccountService};
use crate::admission::{
    AttemptCaptcha, AttemptClient, Client, CountedAttempt, Device, DeviceProof, Limited,
};
use crate::captcha::{CaptchaError, Demand};
use crate::config::CaptchaPoint;
use crate::password::{NoVerdict, Verdict};
use crate::problem::Unavailable;
use crate::secret::Secret;
use crate::session::AccountStatus;
use crate::user::table::NO_HASH;

/// The time before the deadline of a request that is reserved for cancelling the attempt. At the
/// deadline, the request ends and can no longer cancel the attempt.
pub(super) const CANCEL_WITHIN: Duration = Duration::from_millis(100);

/// An attempt that has begun. Its password is perhaps not verified yet.
#[derive(Debug)]
pub struct LoginAttempt {
    address: String,
    client: AttemptClient,
    /// The device in the client's device token. [`AccountService::verify`] checks whether the token
    /// is valid for the account's current password.
    device: Option<Device>,
    /// The value of the JSON member `captcha` of the request.
    captcha: Option<String>,
    /// The keys under which the token store counts this attempt. None until the attempt is
    /// admitted.
    counted: Option<CountedAttempt>,
}

impl LoginAttempt {
    /// The known device that makes the attempt. None if the client is not a known device. Call this
    /// function only after the password was found to be right.
    pub fn device(&self) -> Option<Device> {
        self.device
    }
}

impl AccountService<'_> {
    /// Begins an attempt.
    ///
    /// This function refuses an anonymous client that has used up the limit of its IP address. A
    /// client has a limit of its own if it sends the token of a device that is known to the account
    /// with the email address `address`, or if it has a live session of that account. Any other
    /// device token is ignored.
    ///
    /// If the queue of the hash workers is full, this function refuses the attempt before it is
    /// counted. So an overload does not raise the back-off of users with the right password.
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

    /// Refuses a client that has used up the limit of its IP address.
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

    /// The device of the request, if it is a known device of this account under the current
    /// password.
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

    /// Creates the token that makes the client a known device of the account for 90 days from now.
    /// If the client is a known device already, `known` is this device, and it keeps its id.
    /// `proof` is a new proof of a second factor on this device.
    pub(super) fn device_token(
        &self,
        account: &AccountStatus,
        known: Option<Device>,
        proof: Option<DeviceProof>,
    ) -> String {
        let whose = (account.id, account.password_version);
        let now = self.clock.now();
        self.admission.devices.issue(&account.email_normal, whose, (known, proof), now)
    }

    /// Admits the attempt of a client without a device token. [`AccountService::verify`] admits the
    /// attempt of a client with a device token, because the account must be read first.
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

    /// Admits an attempt. Verifies the captcha only if the attempt needs one.
    ///
    /// If anonymous clients have reached the account's cap of failed attempts, an anonymous client
    /// needs a captcha. If `captcha.on` contains `login-after-failures`, a captcha also replaces
    /// the short waits of the back-off.
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

    /// Reads the account of an attempt.
    ///
    /// If the database fails or does not respond in time, the attempt is cancelled, because the
    /// client has learned nothing from it.
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

    /// Verifies the password of an attempt. If the client has a device token, this function first
    /// admits the attempt.
    ///
    /// If there is no account, a decoy hash is verified, so that the response time reveals nothing.
    /// If no worker has begun to verify the password, the attempt is cancelled. If a worker has
    /// begun and there is no verdict, the attempt counts as failed. The client can learn from the
    /// status: with a costly hash, a wrong password perhaps exceeds the deadline and a right one
    /// does not.
    ///
    /// A device token is ignored if it belongs to another account or to an old password.
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
        // A password that was voided is checked like the password of an unknown account.
        let stored = account.map(|account| account.password_hash.clone());
        let stored = stored.filter(|hash| hash.expose() != NO_HASH);
        let (key, deadline) = (client.key, client.deadline);
        let verdict = match self.passwords.verify(key, deadline, password, stored).await {
            Ok(verdict) => verdict,
            Err(NoVerdict { has_begun, error }) => {
                if !has_begun {
                    self.cancel(attempt);
                }
                return Err(error.into());
            }
        };
        if verdict != Verdict::Mismatch
            && let Some(counted) = &attempt.counted
            && let Err(error) = self.admission.reset_attempts(counted).await
        {
            tracing::warn!(
                error = %error,
                "cannot reset the failed logins after a correct password: they still count"
            );
        }
        Ok(verdict)
    }

    fn cancel(&self, attempt: &LoginAttempt) {
        if let Some(counted) = &attempt.counted {
            self.admission.cancel_attempt(counted);
        }
    }

    /// Exempts this client from the account's cap of failed attempts, because the client has set a
    /// new password. So the client can log in, although its device token for the old password is no
    /// longer valid.
    pub(super) async fn prove_client(&self, client: &Client<'_>, address: &str) {
        if let Err(error) = self.admission.prove_client(address, client.ip).await {
            tracing::warn!(
                error = %error,
                "cannot exempt a client that set a new password from the login back-off"
            );
        }
    }
}
