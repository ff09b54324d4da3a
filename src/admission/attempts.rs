//! Tries of a password, as endpoints ask for them: counted before the password is looked at, forgiven when it was right.

use std::net::IpAddr;

use tokio::time::Instant;

use super::budgets::Scope;
use super::device::Device;
use super::limiter::seconds_up;
use super::worker::{AdmissionCommand, Budgets, Count};
use crate::problem::Unavailable;
use crate::store::{Admission, Captcha};

/// The names of the counts, in keys and metrics: of one source, of all of them together, of a known device.
const OF_SOURCE: &str = "password-checks";
const OF_ACCOUNT: &str = "password-checks-overall";
const OF_DEVICE: &str = "password-checks-device";

/// Who tries a password.
#[derive(Clone, Copy, Debug)]
pub enum AttemptClient {
    /// A stranger, by the /32 or /64.
    Source(IpAddr),
    /// A known device of the account.
    Device(Device),
}

/// Whether a password may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Try {
    /// It may; the attempt counts as a failure until [`Budgets::reset_attempts`] or [`Budgets::cancel_attempt`].
    Admitted,
    /// Not now.
    Wait {
        /// Waiting so long succeeds, in seconds, at least 1.
        retry_after_s: u64,
    },
    /// Not without a captcha.
    CaptchaNeeded,
}

impl Budgets {
    /// Asks for one try of the password of `address`, whether it has an account or not.
    ///
    /// A stranger climbs the ladder of their source and counts towards the account's cap. A known device has a ladder and
    /// a cap of its own, so that no stranger can use them up, nor it theirs.
    ///
    /// # Errors
    /// When the store cannot count it, or this daemon has too much to do to ask: then no password is looked at. A count of
    /// this daemon's own would come on top of the shared one, for whoever makes the store slow.
    pub async fn admit(
        &self,
        address: &str,
        who: AttemptClient,
        captcha: Captcha,
        deadline: Instant,
    ) -> Result<Try, Unavailable> {
        if !self.enabled {
            return Ok(Try::Admitted);
        }
        let (account, source) = (self.account_key(address, who), self.source_key(address, who));
        let policy = match who {
            AttemptClient::Source(_) => OF_SOURCE,
            AttemptClient::Device(_) => OF_DEVICE,
        };
        let found = match self.count(Count::Admit { account, source, captcha }, deadline).await? {
            Admission::Admitted => Try::Admitted,
            Admission::Wait { retry_after } => {
                Try::Wait { retry_after_s: seconds_up(retry_after).max(1) }
            }
            Admission::CaptchaNeeded => Try::CaptchaNeeded,
        };
        let decision = match found {
            Try::Admitted => "allowed",
            Try::Wait { .. } => "limited",
            Try::CaptchaNeeded => "captcha",
        };
        self.decided(policy, decision, "shared");
        Ok(found)
    }

    /// The password was right: forgets what failed from there, and the account's count below its cap.
    ///
    /// # Errors
    /// With the store down: then it counts as a failure, which the next success forgives.
    pub async fn reset_attempts(
        &self,
        address: &str,
        who: AttemptClient,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        if !self.enabled {
            return Ok(());
        }
        let (account, source) = (self.account_key(address, who), self.source_key(address, who));
        let count = Count::Reset { account, source: Some(source) };
        self.count(count, deadline).await?;
        if let AttemptClient::Device(_) = who {
            // The device's tries are not among the account's: it may be closed, and then stays so.
            let account = self.keys.key(OF_ACCOUNT, address, Scope::All);
            self.count(Count::Reset { account, source: None }, deadline).await?;
        }
        Ok(())
    }

    /// The try that was admitted got no verdict: the hash was not computed in time, its worker crashed. It counts no more,
    /// shortly. Whoever tried has learned nothing, and pays for nothing; one who goes away before the answer does.
    pub fn cancel_attempt(&self, address: &str, who: AttemptClient) {
        if !self.enabled {
            return;
        }
        let (account, source) = (self.account_key(address, who), self.source_key(address, who));
        if let Err(error) = self.pool.nudge(AdmissionCommand::Cancel { account, source }) {
            tracing::warn!(error = %error, "a try that nobody judged counts as a failure");
        }
    }

    /// There is another password: what failed at the one before counts no more, from any source.
    ///
    /// # Errors
    /// With the store down: then it goes on counting.
    pub async fn reset_all_attempts(
        &self,
        address: &str,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        if !self.enabled {
            return Ok(());
        }
        let account = self.keys.key(OF_ACCOUNT, address, Scope::All);
        self.count(Count::ResetAll { account }, deadline).await.map(drop)
    }

    async fn count(&self, count: Count, deadline: Instant) -> Result<Admission, Unavailable> {
        self.pool.ask(deadline, |reply| AdmissionCommand::Count { count, reply }).await
    }

    fn account_key(&self, address: &str, who: AttemptClient) -> String {
        match who {
            AttemptClient::Source(_) => self.keys.key(OF_ACCOUNT, address, Scope::All),
            AttemptClient::Device(_) => self.source_key(address, who),
        }
    }

    fn source_key(&self, address: &str, who: AttemptClient) -> String {
        match who {
            AttemptClient::Source(ip) => self.keys.key(OF_SOURCE, address, Scope::Source(ip)),
            AttemptClient::Device(device) => {
                self.keys.key(OF_DEVICE, address, Scope::Device(&device.id()))
            }
        }
    }
}
