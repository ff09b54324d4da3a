//! What every store does with guesses of passwords, whichever it is. Compiled twice, as the suite.

use std::time::Duration;

use futures_util::future::join_all;

use super::suite::NOW;
use super::{Admission, BackOff, Captcha, Guess, Store, UnixMillis, random_id};

const DAY_MS: i64 = 24 * 3_600_000;

/// Two free, then 5 s, then a minute; closed after eight.
pub static BACK_OFF: BackOff = BackOff {
    waits: &[Duration::ZERO, Duration::ZERO, Duration::from_secs(5), Duration::from_mins(1)],
    captcha: (2, 2),
    failures_max: 8,
    source_kept: Duration::from_hours(24),
    kept_a_failure: Duration::from_hours(24),
    kept_closed: Duration::from_hours(2_400),
};

/// An account of its own, and the store that counts.
struct Counted<'a> {
    store: &'a Store,
    account: String,
}

impl Counted<'_> {
    async fn with(&self, source: &str, captcha: Captcha, now: UnixMillis) -> Admission {
        let guess = Guess { account: &self.account, source, captcha };
        self.store.admit(&BACK_OFF, guess, now).await.unwrap()
    }

    async fn admit(&self, source: &str, now: UnixMillis) -> Admission {
        self.with(source, Captcha::NotAsked, now).await
    }

    async fn reset_attempts(&self, source: Option<&str>, now: UnixMillis) {
        self.store.reset_attempts(&BACK_OFF, &self.account, source, now).await.unwrap();
    }
}

fn wait(ms: u64) -> Admission {
    Admission::Wait { retry_after: Duration::from_millis(ms) }
}

/// Every behaviour, each with an account of its own.
pub async fn holds(store: &Store) {
    let fresh = || Counted { store, account: random_id() };
    a_source_climbs_and_waits_exactly(&fresh()).await;
    parallel_tries_get_no_more_than_tries_in_a_row(&fresh()).await;
    a_success_clears_its_source_alone(&fresh()).await;
    a_captcha_takes_the_place_of_the_short_waits(&fresh()).await;
    too_many_failures_close_the_account_to_every_source(&fresh()).await;
    a_device_success_opens_nothing_that_is_closed(&fresh()).await;
    another_password_forgets_all(&fresh()).await;
    a_count_fades_by_a_day_a_failure(&fresh()).await;
    a_try_without_a_verdict_is_taken_back(&fresh()).await;
}

async fn a_source_climbs_and_waits_exactly(it: &Counted<'_>) {
    assert_eq!(it.admit("a", NOW).await, Admission::Admitted);
    assert_eq!(it.admit("a", NOW).await, Admission::Admitted);
    assert_eq!(it.admit("a", NOW).await, wait(5_000));
    assert_eq!(it.admit("a", NOW + 4_999).await, wait(1));
    assert_eq!(it.admit("a", NOW + 5_000).await, Admission::Admitted);
    assert_eq!(it.admit("a", NOW + 5_000).await, wait(60_000));
    assert_eq!(it.admit("b", NOW + 5_000).await, Admission::Admitted, "another source");
    assert_eq!(it.admit("a", NOW - 1_000).await, wait(66_000), "a clock behind waits longer");
    let later = NOW + 5_000 + DAY_MS;
    assert_eq!(it.admit("a", later - 1).await, Admission::Admitted);
    assert_eq!(it.admit("a", later - 1).await, wait(60_000), "the last one is for all beyond");
    assert_eq!(it.admit("b", later).await, Admission::Admitted, "forgotten after a day");
    assert_eq!(it.admit("b", later).await, Admission::Admitted);
}

async fn parallel_tries_get_no_more_than_tries_in_a_row(it: &Counted<'_>) {
    let tries = join_all((0..16).map(|_| it.admit("a", NOW))).await;
    assert_eq!(tries.iter().filter(|it| **it == Admission::Admitted).count(), 2);
    assert_eq!(tries.iter().filter(|it| **it == wait(5_000)).count(), 14);
    let sources: Vec<String> = (0..16).map(|n| n.to_string()).collect();
    let tries = join_all(sources.iter().map(|source| it.admit(source, NOW))).await;
    assert_eq!(tries.iter().filter(|it| **it == Admission::Admitted).count(), 6, "eight in all");
}

async fn a_success_clears_its_source_alone(it: &Counted<'_>) {
    for source in ["a", "a", "b", "b"] {
        assert_eq!(it.admit(source, NOW).await, Admission::Admitted);
    }
    it.reset_attempts(Some("a"), NOW).await;
    assert_eq!(it.admit("b", NOW).await, wait(5_000));
    assert_eq!(it.admit("a", NOW).await, Admission::Admitted);
    it.reset_attempts(Some("a"), NOW).await;
    // The count over all sources began anew: eight more pass.
    let others: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
    let tries = join_all(others.iter().map(|source| it.admit(source, NOW))).await;
    assert_eq!(tries.iter().filter(|it| **it == Admission::Admitted).count(), 8);
}

async fn a_captcha_takes_the_place_of_the_short_waits(it: &Counted<'_>) {
    assert_eq!(it.with("a", Captcha::Missing, NOW).await, Admission::Admitted);
    assert_eq!(it.with("a", Captcha::Missing, NOW).await, Admission::Admitted);
    assert_eq!(it.with("a", Captcha::Missing, NOW + 9_000).await, Admission::CaptchaNeeded);
    assert_eq!(it.with("a", Captcha::Solved, NOW).await, Admission::Admitted);
    assert_eq!(it.with("a", Captcha::Solved, NOW).await, wait(60_000), "not of the long ones");
    assert_eq!(it.with("a", Captcha::Missing, NOW).await, wait(60_000));
}

async fn closed(it: &Counted<'_>) {
    for n in 0..8 {
        assert_eq!(it.admit(&n.to_string(), NOW).await, Admission::Admitted);
    }
    assert_eq!(it.admit("x", NOW).await, wait(100 * 86_400_000));
}

async fn too_many_failures_close_the_account_to_every_source(it: &Counted<'_>) {
    closed(it).await;
    let end = NOW + 100 * DAY_MS;
    for source in ["0", "x"] {
        assert_eq!(it.with(source, Captcha::Missing, end - 1).await, wait(1), "captcha or not");
        assert_eq!(it.with(source, Captcha::Solved, end - 1).await, wait(1));
    }
    assert_eq!(it.admit("x", end).await, Admission::Admitted, "and says so honestly");
}

async fn a_device_success_opens_nothing_that_is_closed(it: &Counted<'_>) {
    for n in 0..7 {
        assert_eq!(it.admit(&n.to_string(), NOW).await, Admission::Admitted);
    }
    it.reset_attempts(None, NOW).await;
    closed(it).await;
    it.reset_attempts(None, NOW).await;
    assert_eq!(it.admit("x", NOW).await, wait(100 * 86_400_000));
    // Of a try that was the eighth and right, only seven failed.
    it.reset_attempts(Some("7"), NOW).await;
    assert_eq!(it.admit("x", NOW).await, Admission::Admitted);
}

async fn another_password_forgets_all(it: &Counted<'_>) {
    it.store.reset_all_attempts(&BACK_OFF, &it.account, NOW).await.unwrap();
    closed(it).await;
    it.store.reset_all_attempts(&BACK_OFF, &it.account, NOW).await.unwrap();
    closed(it).await;
    it.store.reset_all_attempts(&BACK_OFF, &it.account, NOW).await.unwrap();
    assert_eq!(it.admit("0", NOW).await, Admission::Admitted);
    assert_eq!(it.admit("0", NOW).await, Admission::Admitted);
    assert_eq!(it.admit("0", NOW).await, wait(5_000));
    it.reset_attempts(Some("0"), NOW).await;
    it.reset_attempts(Some("0"), NOW).await;
    closed(it).await;
}

async fn a_try_without_a_verdict_is_taken_back(it: &Counted<'_>) {
    let cancel_attempt = async |source: &str, now| {
        it.store.cancel_attempt(&BACK_OFF, &it.account, source, now).await.unwrap();
    };
    cancel_attempt("a", NOW).await;
    for _ in 0..10 {
        assert_eq!(it.admit("a", NOW).await, Admission::Admitted);
        cancel_attempt("a", NOW).await;
    }
    // Of two failures one is left: the wait is that of one, and the next brings that of two.
    assert_eq!(it.admit("a", NOW).await, Admission::Admitted);
    assert_eq!(it.admit("a", NOW).await, Admission::Admitted);
    assert_eq!(it.admit("a", NOW).await, wait(5_000));
    cancel_attempt("a", NOW).await;
    assert_eq!(it.admit("a", NOW).await, Admission::Admitted);
    assert_eq!(it.admit("a", NOW).await, wait(5_000));
    // Nor does the account count it: the eighth closes it, and taken back opens it.
    for source in ["b", "c", "d", "e", "f", "g"] {
        assert_eq!(it.admit(source, NOW).await, Admission::Admitted);
    }
    assert_eq!(it.admit("x", NOW).await, wait(100 * 86_400_000));
    cancel_attempt("never there", NOW).await;
    assert_eq!(it.admit("x", NOW).await, wait(100 * 86_400_000));
    cancel_attempt("g", NOW).await;
    assert_eq!(it.admit("x", NOW).await, Admission::Admitted);
    // What another password has forgotten is not taken back from what came after.
    it.store.reset_all_attempts(&BACK_OFF, &it.account, NOW).await.unwrap();
    for n in 0..8 {
        assert_eq!(it.admit(&n.to_string(), NOW).await, Admission::Admitted);
    }
    cancel_attempt("b", NOW).await;
    assert_eq!(it.admit("x", NOW).await, wait(100 * 86_400_000));
}

async fn a_count_fades_by_a_day_a_failure(it: &Counted<'_>) {
    for n in 0..7 {
        assert_eq!(it.admit(&n.to_string(), NOW).await, Admission::Admitted);
    }
    assert_eq!(it.admit("x", NOW + 7 * DAY_MS - 1).await, Admission::Admitted);
    assert!(matches!(it.admit("y", NOW + 7 * DAY_MS).await, Admission::Wait { .. }));
    let other = Counted { store: it.store, account: random_id() };
    for n in 0..7 {
        assert_eq!(other.admit(&n.to_string(), NOW).await, Admission::Admitted);
    }
    for n in 0..8 {
        let source = format!("later {n}");
        assert_eq!(other.admit(&source, NOW + 7 * DAY_MS).await, Admission::Admitted);
    }
}
