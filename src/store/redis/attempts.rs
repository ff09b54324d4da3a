//! The login back-off in Redis. The scripts contain the rules of
//! [`back_off`](super::super::back_off).

use std::collections::HashMap;
use std::time::Duration;

use redis::ScriptInvocation;

use super::Redis;
use crate::clock::{UnixMillis, millis};
use crate::problem::Unavailable;
use crate::store::back_off::{
    AccountAttempts, AttemptContext, AttemptKey, AttemptVerdict, BackOff, ClientAttempts,
    ClientKind,
};
use crate::store::{COLLECT_SLACK_MS, keys, lost};

impl Redis {
    pub(in crate::store) async fn admit_attempt(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        context: AttemptContext,
        now: UnixMillis,
    ) -> Result<AttemptVerdict, Unavailable> {
        let mut call = self.scripts.admit.key(keys::attempts(key.account));
        call.arg(now).arg(key.client).arg(is_known(key.kind));
        call.arg(u8::from(context.captcha.available)).arg(u8::from(context.captcha.replaces_waits));
        call.arg(context.captcha.solved).arg(u8::from(context.may_add));
        call.arg(rules.captcha_failures.0).arg(rules.captcha_failures.1).arg(rules.failures_max);
        call.arg(millis(rules.cap_wait)).arg(millis(rules.cap_step)).arg(rules.difficulty_max);
        call.arg(millis(rules.client_ttl)).arg(millis(rules.failure_ttl)).arg(COLLECT_SLACK_MS);
        waits(&mut call, rules);
        let (verdict, number): (String, String) = self.link.invoke(&call).await.map_err(lost)?;
        match verdict.as_str() {
            "admitted" => Ok(AttemptVerdict::Admitted { failures: number.parse().map_err(lost)? }),
            "full" => Ok(AttemptVerdict::Full),
            "captcha" => {
                Ok(AttemptVerdict::CaptchaNeeded { difficulty: number.parse().map_err(lost)? })
            }
            "wait" => {
                let retry_after = Duration::from_millis(number.parse().map_err(lost)?);
                Ok(AttemptVerdict::Wait { retry_after })
            }
            _ => Err(lost("the script returned an unknown result for a login attempt")),
        }
    }

    pub(in crate::store) async fn reset_attempts(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        now: UnixMillis,
    ) -> Result<u32, Unavailable> {
        let mut call = self.scripts.reset_attempts.key(keys::attempts(key.account));
        call.arg(now).arg(key.client).arg(millis(rules.failure_ttl));
        self.link.invoke(&call).await.map_err(lost)
    }

    pub(in crate::store) async fn cancel_attempt(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let mut call = self.scripts.cancel_attempt.key(keys::attempts(key.account));
        call.arg(now).arg(key.client).arg(is_known(key.kind)).arg(millis(rules.failure_ttl));
        waits(&mut call, rules);
        self.link.invoke(&call).await.map_err(lost)
    }

    pub(in crate::store) async fn prove_client(
        &self,
        rules: &BackOff,
        account: &str,
        client: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let mut call = self.scripts.prove_client.key(keys::attempts(account));
        call.arg(now).arg(client).arg(rules.allowance).arg(millis(rules.client_ttl));
        call.arg(millis(rules.failure_ttl)).arg(COLLECT_SLACK_MS);
        self.link.invoke(&call).await.map_err(lost)
    }

    pub(in crate::store) async fn attempts(
        &self,
        account: &str,
    ) -> Result<Option<AccountAttempts>, Unavailable> {
        let mut get = redis::cmd("HGETALL");
        get.arg(keys::attempts(account));
        let mut fields: HashMap<String, String> = self.link.query(&get).await.map_err(lost)?;
        if !fields.contains_key("expires_at") {
            return Ok(None);
        }
        let mut take = |name: &str| {
            let text =
                fields.remove(name).ok_or_else(|| lost(format!("an entry lacks the field {name}")));
            text?.parse::<i64>().map_err(lost)
        };
        let (faded_at, open_at) = (take("faded_at")?, take("open_at")?);
        let (allowance, expires_at) = (take("allowance")?, take("expires_at")?);
        let clients = fields.into_iter().map(|(client, text)| Ok((client, read_client(&text)?)));
        let clients = clients.collect::<Result<_, Unavailable>>()?;
        let allowance = u32::try_from(allowance).map_err(lost)?;
        Ok(Some(AccountAttempts { faded_at, open_at, allowance, expires_at, clients }))
    }

    pub(in crate::store) async fn forget_attempts(
        &self,
        account: &str,
    ) -> Result<bool, Unavailable> {
        let mut delete = redis::cmd("DEL");
        delete.arg(keys::attempts(account));
        self.link.query(&delete).await.map_err(lost)
    }
}

fn is_known(kind: ClientKind) -> u8 {
    u8::from(kind == ClientKind::Known)
}

fn waits(call: &mut ScriptInvocation<'_>, rules: &BackOff) {
    for wait in rules.waits {
        call.arg(millis(*wait));
    }
}

/// Parses the seven numbers of a client, in the format of the scripts.
fn read_client(text: &str) -> Result<ClientAttempts, Unavailable> {
    let numbers: Result<Vec<i64>, _> = text.split(' ').map(str::parse).collect();
    let [failures, counted, wait_until, expires_at, proven_until, open_before, allowed] =
        numbers.map_err(lost)?[..]
    else {
        return Err(lost("the entry of a client cannot be read"));
    };
    Ok(ClientAttempts {
        failures: u32::try_from(failures).map_err(lost)?,
        counted: u32::try_from(counted).map_err(lost)?,
        wait_until,
        expires_at,
        proven_until,
        open_before,
        allowed: allowed > 0,
    })
}
