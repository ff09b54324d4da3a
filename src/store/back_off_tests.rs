//! Property tests of the login back-off. They run random sequences of attempts and compare the
//! results with a simple model that remembers all attempts.

use proptest::prelude::*;

use super::*;
use crate::admission::back_off::{BACK_OFF, failure_wait};
use crate::store::AttemptCaptcha;

const START: i64 = 1_795_467_791_042;
const STEPS_MS: [i64; 9] =
    [0, 1, 4_999, 5_000, 30_000, 60_000, 1_000_000, 3_600_000, 24 * 3_600_000];
const SOLVED: AttemptCaptcha =
    AttemptCaptcha { available: true, replaces_waits: false, solved: 1_000 };
const OPEN: AttemptContext = AttemptContext { captcha: SOLVED, may_add: true };

/// The model: the attempts of each client since the client's last success.
#[derive(Default)]
struct Model(Vec<(i64, String)>);

impl Model {
    /// The number of a client's consecutive failures, and the time of the last failure. If the
    /// client makes no attempt for a day, its failures are reset.
    fn client(&self, client: &str, now: i64) -> (u32, i64) {
        let mut found = (0, i64::MIN);
        for (at, _) in self.0.iter().filter(|(_, of)| of == client) {
            let is_forgotten = found.0 > 0 && at - found.1 >= millis(BACK_OFF.client_ttl);
            found = if is_forgotten { (1, *at) } else { (found.0 + 1, *at) };
        }
        if found.0 > 0 && now - found.1 >= millis(BACK_OFF.client_ttl) { (0, 0) } else { found }
    }

    fn may(&self, client: &str, now: i64) -> bool {
        let (failures, last) = self.client(client, now);
        failures == 0 || now - last >= millis(failure_wait(failures))
    }
}

fn attempt(
    stored: &mut Option<AccountAttempts>,
    client: (&str, ClientKind),
    context: AttemptContext,
    now: i64,
) -> AttemptVerdict {
    let (admission, changed) = admit(&BACK_OFF, client, context, stored.clone(), now);
    if changed.is_some() {
        *stored = changed;
    }
    if matches!(admission, AttemptVerdict::Admitted { .. }) { ADMITTED } else { admission }
}

const ADMITTED: AttemptVerdict = AttemptVerdict::Admitted { failures: 0 };

proptest! {
    /// A known client is admitted if and only if it has waited long enough after its own failures.
    /// The attempts of anonymous clients do not matter.
    #[test]
    fn a_known_client_waits_as_its_own_history_says(
        steps in prop::collection::vec((0..9_usize, 0..3_usize, 0..12_u8, 0..4_usize), 1..90),
    ) {
        let (mut stored, mut model, mut now) = (None, Model::default(), START);
        for (step, client, event, noise) in steps {
            now += STEPS_MS[step];
            for n in 0..noise {
                attempt(&mut stored, (&format!("anonymous {n}"), ClientKind::Anonymous), OPEN, now);
            }
            let client = client.to_string();
            let verdict = attempt(&mut stored, (&client, ClientKind::Known), OPEN, now);
            prop_assert_eq!(verdict == ADMITTED, model.may(&client, now), "{:?}", verdict);
            if let AttemptVerdict::Wait { retry_after } = verdict {
                let wait = millis(retry_after);
                prop_assert!(model.may(&client, now + wait) && !model.may(&client, now + wait - 1));
            }
            if verdict != ADMITTED {
                continue;
            }
            model.0.push((now, client.clone()));
            if event == 0 {
                model.0.retain(|(_, of)| *of != client);
                let (left, removed) = reset_attempts(&BACK_OFF, &client, stored.take(), now).unwrap();
                prop_assert!(removed >= 1);
                stored = Some(left);
            }
        }
    }

    /// After an attempt is cancelled, the number of failures is the same as before the attempt, and
    /// the wait is not shorter.
    #[test]
    fn a_cancelled_attempt_counts_no_more(
        steps in prop::collection::vec((0..9_usize, 0..3_usize, any::<bool>()), 1..60),
    ) {
        let (mut stored, mut now) = (None::<AccountAttempts>, START);
        for (step, client, is_verified) in steps {
            now += STEPS_MS[step];
            let client = client.to_string();
            let before = stored.clone().filter(|it| it.expires_at > now).unwrap_or_default();
            let verdict = attempt(&mut stored, (&client, ClientKind::Anonymous), OPEN, now);
            if is_verified || verdict != ADMITTED {
                continue;
            }
            let key = (client.as_str(), ClientKind::Anonymous);
            let left = cancel_attempt(&BACK_OFF, key, stored.take(), now).expect("it was counted");
            let (own, was) = (left.client(&client, now), before.client(&client, now));
            prop_assert_eq!(own.failures, was.failures);
            prop_assert!(own.counted <= was.counted.max(own.failures));
            prop_assert!(left.failures(&BACK_OFF, now) <= before.failures(&BACK_OFF, now));
            prop_assert!(left.open_at <= before.open_at && left.allowance == before.allowance);
            prop_assert!(own.wait_until >= was.wait_until.min(now));
            prop_assert!(own.wait_until <= now + millis(failure_wait(own.failures)));
            stored = Some(left);
        }
    }

    /// In any hour, anonymous clients can make at most 100 attempts, even if they solve every
    /// captcha. A new password allows a few attempts more. No wait is longer than one hour.
    #[test]
    fn an_hour_has_at_most_a_hundred_attempts_of_anonymous_clients(
        steps in prop::collection::vec((0..6_usize, 0..60_usize, any::<bool>()), 200..500),
        new_password_at in 0..500_usize,
    ) {
        let (mut stored, mut now, mut admitted) = (None, START, Vec::new());
        for (number, (step, client, is_solved)) in steps.into_iter().enumerate() {
            now += [0, 0, 1, 36_000, 72_000, 600_000][step];
            if number == new_password_at {
                stored = Some(prove(&BACK_OFF, "owner", stored.take(), now));
            }
            let captcha = AttemptCaptcha { solved: if is_solved { 1_000 } else { 0 }, ..SOLVED };
            let context = AttemptContext { captcha, ..OPEN };
            let client = client.to_string();
            match attempt(&mut stored, (&client, ClientKind::Anonymous), context, now) {
                ADMITTED => admitted.push(now),
                AttemptVerdict::Wait { retry_after } => {
                    prop_assert!(retry_after <= Duration::from_hours(1));
                }
                _ => {}
            }
        }
        for (at, first) in admitted.iter().enumerate() {
            let in_the_hour = admitted[at..].iter().take_while(|it| **it - first < 3_600_000);
            prop_assert!(in_the_hour.count() <= 105);
        }
    }

    /// No record and no time causes an arithmetic overflow.
    #[test]
    fn any_record_can_be_evaluated(
        account in any::<(i64, i64, u32, i64)>(),
        client in any::<(u32, u32, i64, i64, i64)>(),
        last in any::<(i64, bool)>(),
        now: i64,
        is_known: bool,
    ) {
        let (faded_at, open_at, allowance, expires_at) = account;
        let (failures, counted, wait_until, of_client, proven_until) = client;
        let (open_before, allowed) = last;
        let own = ClientAttempts {
            failures,
            counted,
            wait_until,
            expires_at: of_client,
            proven_until,
            open_before,
            allowed,
        };
        let clients = [("a".to_owned(), own)].into();
        let stored = Some(AccountAttempts { faded_at, open_at, allowance, expires_at, clients });
        let kind = if is_known { ClientKind::Known } else { ClientKind::Anonymous };
        admit(&BACK_OFF, ("a", kind), OPEN, stored.clone(), now);
        reset_attempts(&BACK_OFF, "a", stored.clone(), now);
        cancel_attempt(&BACK_OFF, ("a", kind), stored.clone(), now);
        prove(&BACK_OFF, "a", stored, now);
    }
}
