//! The ladder under random histories, beside a model that keeps the whole history and looks at nothing else.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::admission::back_off::{BACK_OFF, failure_wait};

/// Everything that happened, in order.
#[derive(Default)]
struct Model {
    /// When, and from where, tries were admitted since the last pardon.
    tries: Vec<(i64, usize, bool)>,
}

impl Model {
    /// Consecutive tries of a source, the last of them, since its last success; none where a day lies between.
    fn source(&self, source: usize, now: i64) -> (u32, i64) {
        let mut found = (0, i64::MIN);
        for (at, _, forgiven) in self.tries.iter().filter(|(_, of, _)| *of == source) {
            if found.0 > 0 && at - found.1 >= millis(BACK_OFF.source_kept) {
                found = (0, i64::MIN);
            }
            found = if *forgiven { (0, i64::MIN) } else { (found.0 + 1, *at) };
        }
        if found.0 > 0 && now - found.1 >= millis(BACK_OFF.source_kept) { (0, 0) } else { found }
    }

    fn may(&self, source: usize, now: i64) -> bool {
        let (failures, last) = self.source(source, now);
        failures == 0 || now - last >= millis(failure_wait(failures))
    }
}

/// What a store would hold.
#[derive(Default)]
struct Kept {
    account: Option<Account>,
    sources: HashMap<usize, Source>,
}

impl Kept {
    fn admit(&mut self, source: usize, captcha: Captcha, now: i64) -> Admission {
        let known = self.sources.get(&source).copied();
        let (verdict, counted) = admit(&BACK_OFF, captcha, self.account, known, now);
        if let Some((account, counted)) = counted {
            self.account = Some(account);
            self.sources.insert(source, counted);
        }
        verdict
    }
}

const STEPS_MS: [i64; 9] =
    [0, 1, 4_999, 5_000, 30_000, 60_000, 1_000_000, 3_600_000, 24 * 3_600_000];

proptest! {
    /// Below the cap a source is admitted exactly when the whole history says that it has waited.
    #[test]
    fn a_source_climbs_as_its_history_says(
        steps in prop::collection::vec((0..9_usize, 0..3_usize, 0..12_u8), 1..90),
    ) {
        let (mut kept, mut model, mut now) = (Kept::default(), Model::default(), 1_795_467_791_042);
        for (step, source, event) in steps {
            now += STEPS_MS[step];
            let verdict = kept.admit(source, Captcha::NotAsked, now);
            prop_assert_eq!(verdict == Admission::Admitted, model.may(source, now), "{:?}", verdict);
            if let Admission::Wait { retry_after } = verdict {
                let wait = millis(retry_after);
                prop_assert!(model.may(source, now + wait) && !model.may(source, now + wait - 1));
            }
            if verdict != Admission::Admitted {
                continue;
            }
            let succeeded = event == 0;
            model.tries.push((now, source, succeeded));
            if succeeded {
                kept.sources.remove(&source);
                if let Some(left) = reset_attempts(&BACK_OFF, kept.account, 1, now) {
                    kept.account = Some(left);
                }
            } else if event == 1 {
                model.tries.clear();
                kept.account = reset_all_attempts(&BACK_OFF, kept.account, now);
            }
        }
    }

    /// What is taken back counts no more, and leaves no shorter a wait than the failures that are left.
    #[test]
    fn a_try_that_is_taken_back_was_never_made(
        steps in prop::collection::vec((0..9_usize, 0..3_usize, any::<bool>()), 1..60),
    ) {
        let (mut kept, mut now) = (Kept::default(), 1_795_467_791_042);
        for (step, source, judged) in steps {
            now += STEPS_MS[step];
            let forgotten = |it: &Source| it.kept_until <= now;
            let before = kept.sources.get(&source).copied().filter(|it| !forgotten(it));
            let account = kept.account.filter(|it| it.kept_until > now).unwrap_or_default();
            let verdict = kept.admit(source, Captcha::Solved, now);
            if judged || verdict != Admission::Admitted {
                continue;
            }
            let found = kept.sources.get(&source).copied();
            let (left, of) = cancel_attempt(&BACK_OFF, kept.account, found, now).expect("it was counted");
            let before = before.unwrap_or_default();
            prop_assert_eq!((left.failures, of.failures), (account.failures, before.failures));
            let step = usize::try_from(of.failures).unwrap().min(BACK_OFF.waits.len() - 1);
            prop_assert!(of.wait_until >= before.wait_until.min(now + millis(BACK_OFF.waits[step])));
            prop_assert!(of.wait_until <= now + millis(BACK_OFF.waits[step]));
            kept.account = Some(left);
            kept.sources.insert(source, of);
        }
    }

    /// Whatever sources do, with captchas and without, no hundred-and-first failure in a row is admitted.
    #[test]
    fn a_hundred_failures_close_the_account_whoever_they_are_from(
        steps in prop::collection::vec((0..5_usize, 0..40_usize, any::<bool>()), 150..400),
    ) {
        let (mut kept, mut now, mut failures) = (Kept::default(), 0, 0_u32);
        for (step, source, solved) in steps {
            now += STEPS_MS[step];
            let captcha = if solved { Captcha::Solved } else { Captcha::Missing };
            match kept.admit(source, captcha, now) {
                Admission::Admitted => failures += 1,
                Admission::Wait { retry_after } if failures == BACK_OFF.failures_max => {
                    prop_assert!(retry_after > BACK_OFF.kept_closed / 2);
                }
                _ => {}
            }
            prop_assert!(failures <= BACK_OFF.failures_max);
        }
    }

    /// No record and no time makes the sums overflow.
    #[test]
    fn anything_can_be_judged(
        account in any::<(u32, u32, i64)>(),
        source in any::<(u32, u32, i64, i64)>(),
        now: i64,
    ) {
        let (failures, era, kept_until) = account;
        let account = Some(Account { failures, era: era.into(), kept_until });
        let (failures, era, wait_until, kept_until) = source;
        let source = Some(Source { failures, era: era.into(), wait_until, kept_until });
        for captcha in [Captcha::NotAsked, Captcha::Missing, Captcha::Solved] {
            admit(&BACK_OFF, captcha, account, source, now);
        }
        reset_attempts(&BACK_OFF, account, 1, now);
        cancel_attempt(&BACK_OFF, account, source, now);
        reset_all_attempts(&BACK_OFF, account, now);
    }
}
