//! Failures of passwords in Redis: the scripts of [`ladder`](super::super::back_off).

use std::time::Duration;

use super::Redis;
use crate::clock::{UnixMillis, millis};
use crate::problem::Unavailable;
use crate::store::back_off::{Admission, BackOff, Guess};
use crate::store::{COLLECT_SLACK_MS, keys, lost};

impl Redis {
    pub(in crate::store) async fn admit(
        &self,
        ladder: &BackOff,
        guess: Guess<'_>,
        now: UnixMillis,
    ) -> Result<Admission, Unavailable> {
        let mut call = self.scripts.admit.key(keys::guesses(guess.account));
        call.key(keys::guesses_of(guess.account, guess.source));
        call.arg(now).arg(guess.captcha.name()).arg(ladder.captcha.0).arg(ladder.captcha.1);
        call.arg(ladder.failures_max).arg(millis(ladder.source_kept));
        call.arg(millis(ladder.kept_a_failure)).arg(millis(ladder.kept_closed));
        call.arg(COLLECT_SLACK_MS);
        for wait in ladder.waits {
            call.arg(millis(*wait));
        }
        let (verdict, ms): (String, String) = self.link.invoke(&call).await.map_err(lost)?;
        match verdict.as_str() {
            "admitted" => Ok(Admission::Admitted),
            "captcha" => Ok(Admission::CaptchaNeeded),
            "wait" => {
                let retry_after = Duration::from_millis(ms.parse().map_err(lost)?);
                Ok(Admission::Wait { retry_after })
            }
            _ => Err(lost("a try was not judged")),
        }
    }

    pub(in crate::store) async fn reset_attempts(
        &self,
        ladder: &BackOff,
        account: &str,
        source: Option<&str>,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let mut call = self.scripts.forgive.key(keys::guesses(account));
        if let Some(source) = source {
            call.key(keys::guesses_of(account, source));
        }
        call.arg(now).arg(u32::from(source.is_some())).arg(ladder.failures_max);
        call.arg(millis(ladder.source_kept)).arg(COLLECT_SLACK_MS);
        self.link.invoke(&call).await.map_err(lost)
    }

    pub(in crate::store) async fn reset_all_attempts(
        &self,
        ladder: &BackOff,
        account: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let mut call = self.scripts.pardon.key(keys::guesses(account));
        call.arg(now).arg(millis(ladder.source_kept)).arg(COLLECT_SLACK_MS);
        self.link.invoke(&call).await.map_err(lost)
    }

    pub(in crate::store) async fn cancel_attempt(
        &self,
        ladder: &BackOff,
        account: &str,
        source: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let mut call = self.scripts.refund.key(keys::guesses(account));
        call.key(keys::guesses_of(account, source)).arg(now);
        for wait in ladder.waits {
            call.arg(millis(*wait));
        }
        self.link.invoke(&call).await.map_err(lost)
    }
}
