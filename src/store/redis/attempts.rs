//! The login back-off in Redis. The scripts contain the rules of
//! [`back_off`](super::super::back_off).

use std::collections::HashMap;
use std::time::Duration;

use redis::ScriptInvocation;

use super::Redis;
use super::repair::Keys;
use crate::clock::{UnixMillis, millis};
use crate::problem::Unavailable;
use crate::store::attempt::{AttemptContext, AttemptKey, AttemptVerdict, ClientKind};
use crate::store::back_off::{AccountAttempts, BackOff, ClientAttempts};
use crate::store::{COLLECT_SLACK_MS, keys, lost};

impl Redis {
    pub(in crate::store) async fn admit_attempt(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        context: AttemptContext,
        now: UnixMillis,
    ) -> Result<AttemptVerdict, Unavailable> {
        let account = keys::attempts(key.account);
        let mut call = self.scripts.admit.key(&account);
        call.arg(now).arg(key.client).arg(is_known(key.kind));
        call.arg(u8::from(context.captcha.available)).arg(u8::from(context.captcha.replaces_waits));
        call.arg(context.captcha.solved).arg(u8::from(context.may_add));
        call.arg(rules.captcha_failures.0).arg(rules.captcha_failures.1).arg(rules.failures_max);
        call.arg(millis(rules.cap_wait)).arg(millis(rules.cap_step)).arg(rules.difficulty_max);
        call.arg(millis(rules.client_ttl)).arg(millis(rules.failure_ttl)).arg(COLLECT_SLACK_MS);
        call.arg(u8::from(rules.failures_outlive_clients));
        waits(&mut call, rules);
        let (verdict, number): (String, u64) =
            self.invoke(&call, || all(account)).await.map_err(lost)?;
        match verdict.as_str() {
            "admitted" => {
                Ok(AttemptVerdict::Admitted { failures: number.try_into().map_err(lost)? })
            }
            "full" => Ok(AttemptVerdict::Full),
            "captcha" => {
                Ok(AttemptVerdict::CaptchaNeeded { difficulty: number.try_into().map_err(lost)? })
            }
            "wait" => {
                let retry_after = Duration::from_millis(number);
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
        let account = keys::attempts(key.account);
        let mut call = self.scripts.reset_attempts.key(&account);
        call.arg(now).arg(key.client).arg(millis(rules.failure_ttl));
        self.invoke(&call, || all(account)).await.map_err(lost)
    }

    pub(in crate::store) async fn cancel_attempt(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let account = keys::attempts(key.account);
        let mut call = self.scripts.cancel_attempt.key(&account);
        call.arg(now).arg(key.client).arg(is_known(key.kind)).arg(millis(rules.failure_ttl));
        waits(&mut call, rules);
        self.invoke(&call, || all(account)).await.map_err(lost)
    }

    pub(in crate::store) async fn prove_client(
        &self,
        rules: &BackOff,
        account: &str,
        client: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let account = keys::attempts(account);
        let mut call = self.scripts.prove_client.key(&account);
        call.arg(now).arg(client).arg(rules.allowance).arg(millis(rules.client_ttl));
        call.arg(millis(rules.failure_ttl)).arg(COLLECT_SLACK_MS);
        self.invoke(&call, || all(account)).await.map_err(lost)
    }

    pub(in crate::store) async fn attempts(
        &self,
        account: &str,
    ) -> Result<Option<AccountAttempts>, Unavailable> {
        let key = keys::attempts(account);
        let mut get = redis::cmd("HGETALL");
        get.arg(&key);
        let fields: HashMap<String, String> = self.query(&get, || all(key)).await.map_err(lost)?;
        if !fields.contains_key("expires_at") {
            return Ok(None);
        }
        let read = read_account(fields);
        if read.is_none() {
            self.mac.refuse_values(1);
        }
        Ok(read)
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

/// The keys of the scripts.
fn all(account: String) -> Keys {
    Keys::plain([("HLEN", account)])
}

/// Parses the record of an account, in the format of the scripts.
fn read_account(mut fields: HashMap<String, String>) -> Option<AccountAttempts> {
    let mut take = |name: &str| fields.remove(name)?.parse::<i64>().ok();
    let (faded_at, open_at) = (take("faded_at")?, take("open_at")?);
    let (allowance, expires_at) = (take("allowance")?, take("expires_at")?);
    let clients = fields.into_iter().map(|(client, text)| Some((client, read_client(&text)?)));
    let clients = clients.collect::<Option<_>>()?;
    let allowance = u32::try_from(allowance).ok()?;
    Some(AccountAttempts { faded_at, open_at, allowance, expires_at, clients })
}

/// Parses the seven numbers of a client, in the format of the scripts.
fn read_client(text: &str) -> Option<ClientAttempts> {
    let numbers: Option<Vec<i64>> = text.split(' ').map(|it| it.parse().ok()).collect();
    let [failures, counted, wait_until, expires_at, proven_until, open_before, allowed] =
        numbers?[..]
    else {
        return None;
    };
    Some(ClientAttempts {
        failures: u32::try_from(failures).ok()?,
        counted: u32::try_from(counted).ok()?,
        wait_until,
        expires_at,
        proven_until,
        open_before,
        allowed: allowed > 0,
    })
}
