//! A test that two stores return the same results for the same operations.
//!
//! This file is compiled twice, in the same way as `suite.rs`.

use std::time::Duration;

use super::attempts_suite::BACK_OFF;
use super::suite::{HOUR_MS, NOW, ask, mark_used, new_session};
use super::{
    AttemptCaptcha, AttemptContext, AttemptKey, BackOff, Charge, ClientKind, OneTimeToken, Quota,
    Refresh, Session, Store, TokenKind, UnixMillis, random_id, uuid_v7,
};

/// Runs one random sequence of operations on both stores. Each pair of results must be equal.
///
/// Each number in `seeds` selects one operation and its arguments. There are only a few users,
/// sessions and rows, so that operations often affect the same entry.
pub async fn agree(left: &Store, right: &Store, seeds: &[u64]) {
    let users = [uuid_v7(NOW), uuid_v7(NOW)];
    let (rows, run) = ([uuid_v7(NOW), uuid_v7(NOW + 1)], random_id());
    let mut now = NOW;
    for (step, seed) in seeds.iter().enumerate() {
        let pick = |shift: u32, of: u64| (seed >> shift) % of;
        let user = users[usize::try_from(pick(8, 2)).unwrap()];
        let sid = format!("{run}-{}", pick(12, 2));
        now += [0, 1, 20_000, 40_000, 900_000, 30_000_000][usize::try_from(pick(16, 6)).unwrap()];
        let row_id = rows[usize::try_from(pick(20, 2)).unwrap()];
        let mut answers = Vec::new();
        for store in [left, right] {
            let answer = match pick(0, 12) {
                0 => {
                    let expires_at = now + HOUR_MS;
                    let absolute_end = now + 2 * HOUR_MS;
                    let template = Session { user_id: user, sid: sid.clone(), ..new_session() };
                    let fixed = Session { team_id: None, generation: 0, ..template };
                    let session = Session { seen_at: now, expires_at, absolute_end, ..fixed };
                    format!("{:?}", store.open_session(&session, now).await.unwrap())
                }
                1..=4 => {
                    let (jti, generation) = (format!("jti-{}", pick(24, 4)), pick(28, 4));
                    let next = format!("jti-{}", generation + 1);
                    let of = Session { user_id: user, sid: sid.clone(), ..new_session() };
                    let jti = if pick(32, 4) == 0 { jti } else { format!("jti-{generation}") };
                    let client = ["192.0.2.7", "192.0.2.8"][usize::from(pick(34, 4) == 0)];
                    let ask = Refresh { client, ..ask(&of, &jti, generation, &next) };
                    format!("{:?}", store.refresh(&ask, now).await.unwrap())
                }
                5 if pick(24, 2) == 0 => {
                    mark_used(store, user, &sid, pick(28, 4)).await;
                    String::new()
                }
                5 => format!("{:?}", store.sessions(user, now).await.unwrap()),
                6 if pick(24, 3) == 0 => {
                    store.end_session(user, &sid).await.unwrap();
                    String::new()
                }
                6 => format!("{:?}", store.restamp_session(user, &sid, 9, now).await.unwrap()),
                7 => {
                    let digest = format!("{run}-{row_id}");
                    let expires_at = now + HOUR_MS;
                    let kind = TokenKind::Recover;
                    let token = OneTimeToken {
                        kind,
                        user_id: user,
                        row_id,
                        digest,
                        stamp: 0,
                        subject: None,
                        expires_at,
                    };
                    let put = store.put_token(&token, now).await.unwrap();
                    format!("{put:?} {:?}", store.find_token(&token.digest, now).await.unwrap())
                }
                8 => {
                    let cost = u32::try_from(pick(24, 7)).unwrap();
                    let quota = Quota { burst: 5, period: Duration::from_secs(7) };
                    let other = Quota { burst: 9, period: Duration::from_secs(4) };
                    let charges = [(run.clone(), quota), (format!("{run}:other"), other)]
                        .map(|(key, quota)| Charge { key, quota, cost });
                    let charges = &charges[..=usize::try_from(pick(31, 2)).unwrap()];
                    format!("{:?}", store.spend_budgets(charges, now).await.unwrap())
                }
                _ => {
                    let kinds = [ClientKind::Anonymous, ClientKind::Anonymous, ClientKind::Known];
                    let kind = kinds[usize::try_from(pick(40, 3)).unwrap()];
                    let key = AttemptKey { account: &run, client: &sid, kind };
                    attempt(store, key, pick(24, 9), *seed, now).await
                }
            };
            answers.push(answer);
        }
        assert_eq!(answers[0], answers[1], "step {step} of {seeds:?}");
    }
}

/// Runs one operation of the login back-off. Returns its result and everything that the store then
/// contains about the account.
async fn attempt(
    store: &Store,
    key: AttemptKey<'_>,
    which: u64,
    seed: u64,
    now: UnixMillis,
) -> String {
    let answer = match which {
        0 => format!("{:?}", store.reset_attempts(&BACK_OFF, key, now).await.unwrap()),
        1 => {
            store.prove_client(&BACK_OFF, key.account, key.client, now).await.unwrap();
            String::new()
        }
        2 => {
            store.cancel_attempt(&BACK_OFF, key, now).await.unwrap();
            String::new()
        }
        _ => {
            let captcha = AttemptCaptcha {
                available: seed & 1 << 33 > 0,
                replaces_waits: seed & 1 << 34 > 0,
                solved: u32::try_from((seed >> 35) % 5).unwrap(),
            };
            let context = AttemptContext { captcha, may_add: seed & 1 << 38 > 0 };
            let rules = BackOff { failures_outlive_clients: seed & 1 << 39 > 0, ..BACK_OFF };
            format!("{:?}", store.admit_attempt(&rules, key, context, now).await.unwrap())
        }
    };
    format!("{answer} {:?}", store.attempts(key.account, now).await.unwrap())
}
