//! Tests of the login back-off that every store must pass. This file is compiled twice, in the same
//! way as `suite.rs`.

use std::time::Duration;

use futures_util::future::join_all;

use super::suite::NOW;
use super::{
    AttemptCaptcha, AttemptContext, AttemptKey, AttemptVerdict, BackOff, ClientKind, Store,
    UnixMillis, random_id,
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The settings for these tests. The first failure of a client has no wait, the second has a wait
/// of 5 s, and the third and later failures have a wait of one minute. After eight failures of all
/// clients together, a captcha is needed.
pub static BACK_OFF: BackOff = BackOff {
    waits: &[Duration::ZERO, Duration::ZERO, Duration::from_secs(5), Duration::from_mins(1)],
    captcha_failures: (2, 2),
    failures_max: 8,
    cap_wait: Duration::from_hours(1),
    cap_step: Duration::from_secs(36),
    difficulty_max: 3,
    allowance: 2,
    client_ttl: Duration::from_hours(24),
    failure_ttl: Duration::from_hours(24),
    failures_outlive_clients: true,
};

pub const NO_CAPTCHA: AttemptContext = AttemptContext {
    captcha: AttemptCaptcha { available: false, replaces_waits: false, solved: 0 },
    may_add: true,
};

fn solved(difficulty: u32) -> AttemptContext {
    let captcha = AttemptCaptcha { available: true, replaces_waits: false, solved: difficulty };
    AttemptContext { captcha, ..NO_CAPTCHA }
}

/// A store and a new account in it.
struct Counted<'a> {
    store: &'a Store,
    account: String,
}

impl Counted<'_> {
    fn key<'a>(&'a self, client: &'a str) -> AttemptKey<'a> {
        AttemptKey { account: &self.account, client, kind: ClientKind::Anonymous }
    }

    async fn with(&self, client: &str, context: AttemptContext, now: UnixMillis) -> AttemptVerdict {
        plain(self.store.admit_attempt(&BACK_OFF, self.key(client), context, now).await.unwrap())
    }

    async fn admit(&self, client: &str, now: UnixMillis) -> AttemptVerdict {
        self.with(client, NO_CAPTCHA, now).await
    }

    async fn known(&self, client: &str, now: UnixMillis) -> AttemptVerdict {
        let key = AttemptKey { kind: ClientKind::Known, ..self.key(client) };
        plain(self.store.admit_attempt(&BACK_OFF, key, NO_CAPTCHA, now).await.unwrap())
    }

    async fn reset(&self, client: &str, now: UnixMillis) -> u32 {
        self.store.reset_attempts(&BACK_OFF, self.key(client), now).await.unwrap()
    }

    async fn cancel(&self, client: &str, now: UnixMillis) {
        self.store.cancel_attempt(&BACK_OFF, self.key(client), now).await.unwrap();
    }

    async fn prove(&self, client: &str, now: UnixMillis) {
        self.store.prove_client(&BACK_OFF, &self.account, client, now).await.unwrap();
    }

    /// Makes one failed attempt from each of eight clients, so that the cap is reached.
    async fn reach_the_cap(&self) {
        for n in 0..8 {
            assert_eq!(self.admit(&n.to_string(), NOW).await, ADMITTED);
        }
    }
}

const ADMITTED: AttemptVerdict = AttemptVerdict::Admitted { failures: 0 };

/// Returns the verdict without the number of failures.
fn plain(found: AttemptVerdict) -> AttemptVerdict {
    if matches!(found, AttemptVerdict::Admitted { .. }) { ADMITTED } else { found }
}

fn wait(ms: i64) -> AttemptVerdict {
    AttemptVerdict::Wait { retry_after: Duration::from_millis(ms.unsigned_abs()) }
}

fn captcha(difficulty: u32) -> AttemptVerdict {
    AttemptVerdict::CaptchaNeeded { difficulty }
}

/// Runs all tests. Each test has its own account.
pub async fn holds(store: &Store) {
    let fresh = || Counted { store, account: random_id() };
    a_client_backs_off_and_waits_exactly(&fresh()).await;
    parallel_attempts_get_no_more_than_attempts_in_a_row(&fresh()).await;
    a_success_removes_the_failures_of_its_client_alone(&fresh()).await;
    a_captcha_replaces_the_short_waits(&fresh()).await;
    beyond_the_cap_captchas_grow_harder_and_waits_longer(&fresh()).await;
    without_a_captcha_one_attempt_an_hour_passes_beyond_the_cap(&fresh()).await;
    known_clients_do_not_depend_on_the_cap(&fresh()).await;
    a_client_that_proves_itself_and_two_fresh_ones_pass_beyond_the_cap(&fresh()).await;
    one_failure_fades_a_day(&fresh()).await;
    a_day_without_an_attempt_removes_failures_that_do_not_outlive_clients(&fresh()).await;
    a_cancelled_attempt_does_not_count(&fresh()).await;
    a_right_or_cancelled_attempt_beyond_the_cap_closes_nothing(&fresh()).await;
    an_attempt_that_is_cancelled_leaves_no_record(&fresh()).await;
    an_unknown_account_is_added_only_where_it_may_be(&fresh()).await;
    a_forgotten_account_starts_anew(&fresh()).await;
    clients_that_expired_leave_the_record(&fresh()).await;
}

async fn a_client_backs_off_and_waits_exactly(it: &Counted<'_>) {
    assert_eq!(it.admit("a", NOW).await, ADMITTED);
    assert_eq!(it.admit("a", NOW).await, ADMITTED);
    assert_eq!(it.admit("a", NOW).await, wait(5_000));
    assert_eq!(it.admit("a", NOW + 4_999).await, wait(1));
    assert_eq!(it.admit("a", NOW + 5_000).await, ADMITTED);
    assert_eq!(it.admit("a", NOW + 5_000).await, wait(60_000));
    assert_eq!(it.admit("b", NOW + 5_000).await, ADMITTED, "another client");
    assert_eq!(it.admit("a", NOW - 1_000).await, wait(66_000), "a clock behind waits longer");
    let later = NOW + 5_000 + DAY_MS;
    assert_eq!(it.admit("a", later - 1).await, ADMITTED);
    assert_eq!(it.admit("a", later - 1).await, wait(60_000), "the last one is for all beyond");
    assert_eq!(it.admit("b", later).await, ADMITTED, "forgotten after a day");
    assert_eq!(it.admit("b", later).await, ADMITTED);
}

async fn parallel_attempts_get_no_more_than_attempts_in_a_row(it: &Counted<'_>) {
    let found = join_all((0..16).map(|_| it.admit("a", NOW))).await;
    assert_eq!(found.iter().filter(|it| **it == ADMITTED).count(), 2);
    assert_eq!(found.iter().filter(|it| **it == wait(5_000)).count(), 14);
    let clients: Vec<String> = (0..16).map(|n| n.to_string()).collect();
    let found = join_all(clients.iter().map(|client| it.admit(client, NOW))).await;
    assert_eq!(found.iter().filter(|it| **it == ADMITTED).count(), 6, "eight in all");
}

async fn a_success_removes_the_failures_of_its_client_alone(it: &Counted<'_>) {
    for client in ["a", "a", "b", "b"] {
        assert_eq!(it.admit(client, NOW).await, ADMITTED);
    }
    assert_eq!(it.reset("a", NOW).await, 2);
    assert_eq!(it.reset("a", NOW).await, 0);
    assert_eq!(it.admit("b", NOW).await, wait(5_000));
    // Two failures are counted, so six more attempts are admitted until the cap of eight is
    // reached.
    let clients: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
    let found = join_all(clients.iter().map(|client| it.admit(client, NOW))).await;
    assert_eq!(found.iter().filter(|it| **it == ADMITTED).count(), 6);
}

async fn a_captcha_replaces_the_short_waits(it: &Counted<'_>) {
    let replaces = |difficulty| AttemptContext {
        captcha: AttemptCaptcha { replaces_waits: true, ..solved(difficulty).captcha },
        ..NO_CAPTCHA
    };
    assert_eq!(it.with("a", replaces(0), NOW).await, ADMITTED);
    assert_eq!(it.with("a", replaces(0), NOW).await, ADMITTED);
    assert_eq!(it.with("a", replaces(0), NOW + 9_000).await, captcha(1));
    assert_eq!(it.with("a", replaces(1), NOW).await, ADMITTED);
    assert_eq!(it.with("a", replaces(1), NOW).await, wait(60_000), "not the long ones");
    assert_eq!(it.with("a", replaces(0), NOW).await, wait(60_000));
}

async fn beyond_the_cap_captchas_grow_harder_and_waits_longer(it: &Counted<'_>) {
    it.reach_the_cap().await;
    assert_eq!(it.with("x", solved(9), NOW).await, wait(HOUR_MS), "an hour first");
    let mut now = NOW + HOUR_MS;
    assert_eq!(it.with("x", solved(9), now - 1).await, wait(1));
    // The greatest difficulty is 3, and the wait grows by 36 s with each failure.
    for (n, (difficulty, step)) in [(1, 36), (2, 72), (3, 108), (3, 144)].into_iter().enumerate() {
        let client = format!("x{n}");
        assert_eq!(it.with(&client, solved(0), now).await, captcha(difficulty));
        assert_eq!(it.with(&client, solved(difficulty - 1), now).await, captcha(difficulty));
        assert_eq!(it.with(&client, solved(difficulty), now).await, ADMITTED);
        assert_eq!(it.with("other", solved(9), now).await, wait(step * 1_000));
        now += step * 1_000;
    }
    // A successful attempt beyond the cap is no longer counted as a failure. The failures of the
    // other clients stay.
    assert_eq!(it.with("owner", solved(3), now).await, ADMITTED);
    assert_eq!(it.reset("owner", now).await, 1);
    assert_eq!(it.with("other", solved(0), now + HOUR_MS).await, captcha(3));
}

async fn without_a_captcha_one_attempt_an_hour_passes_beyond_the_cap(it: &Counted<'_>) {
    it.reach_the_cap().await;
    for n in 0..4 {
        let now = NOW + n * HOUR_MS;
        assert_eq!(it.admit("x", now).await, wait(HOUR_MS));
        assert_eq!(it.admit(&format!("x{n}"), now + HOUR_MS).await, ADMITTED);
    }
}

async fn known_clients_do_not_depend_on_the_cap(it: &Counted<'_>) {
    it.reach_the_cap().await;
    for _ in 0..2 {
        assert_eq!(it.known("device", NOW).await, ADMITTED);
    }
    assert_eq!(it.known("device", NOW).await, wait(5_000), "it has its own back-off");
    assert_eq!(it.known("other device", NOW).await, ADMITTED);
    assert_eq!(it.reset("device", NOW).await, 2);
    assert_eq!(it.known("device", NOW).await, ADMITTED);
    assert_eq!(it.admit("x", NOW).await, wait(HOUR_MS), "it opens nothing for the others");
}

async fn a_client_that_proves_itself_and_two_fresh_ones_pass_beyond_the_cap(it: &Counted<'_>) {
    it.reach_the_cap().await;
    it.prove("home", NOW).await;
    for client in ["home", "home", "phone", "tablet"] {
        assert_eq!(it.admit(client, NOW).await, ADMITTED, "{client}");
    }
    assert_eq!(it.admit("home", NOW).await, wait(5_000), "its back-off stays");
    assert_eq!(it.admit("0", NOW).await, wait(HOUR_MS), "a client that had failed");
    assert_eq!(it.admit("watch", NOW).await, wait(HOUR_MS), "two are used up");
    assert_eq!(it.admit("home", NOW + 5_000).await, ADMITTED);
    assert_eq!(it.reset("home", NOW + 5_000).await, 3);
    assert_eq!(it.admit("home", NOW + DAY_MS - 1).await, ADMITTED, "for a day");
    let other = Counted { store: it.store, account: random_id() };
    assert_eq!(other.admit("home", NOW).await, ADMITTED);
    other.prove("home", NOW).await;
    assert_eq!(other.reset("home", NOW).await, 0, "what it failed before is gone");
    other.reach_the_cap().await;
    assert_eq!(other.admit("home", NOW).await, ADMITTED);
}

async fn one_failure_fades_a_day(it: &Counted<'_>) {
    it.reach_the_cap().await;
    assert_eq!(it.admit("x", NOW + DAY_MS).await, ADMITTED, "seven are left");
    assert_eq!(it.admit("y", NOW + DAY_MS).await, wait(HOUR_MS), "eight again");
    let other = Counted { store: it.store, account: random_id() };
    other.reach_the_cap().await;
    for n in 0..8 {
        let client = format!("later {n}");
        assert_eq!(other.admit(&client, NOW + 8 * DAY_MS).await, ADMITTED);
    }
    assert_eq!(other.admit("y", NOW + 8 * DAY_MS).await, wait(HOUR_MS));
}

async fn a_day_without_an_attempt_removes_failures_that_do_not_outlive_clients(it: &Counted<'_>) {
    let rules = BackOff { failures_outlive_clients: false, ..BACK_OFF };
    let admit = async |client: usize, now| {
        let client = client.to_string();
        it.store.admit_attempt(&rules, it.key(&client), NO_CAPTCHA, now).await.unwrap()
    };
    for failures in 1..=8 {
        let client = usize::try_from(failures).unwrap();
        assert_eq!(admit(client, NOW).await, AttemptVerdict::Admitted { failures });
    }
    assert_eq!(admit(9, NOW + HOUR_MS - 1).await, wait(1));
    // Each attempt begins the day anew.
    let later = NOW + DAY_MS - 1;
    assert_eq!(admit(9, later).await, AttemptVerdict::Admitted { failures: 9 });
    assert_eq!(admit(10, later + HOUR_MS).await, AttemptVerdict::Admitted { failures: 9 });
    let quiet = later + HOUR_MS + DAY_MS;
    for failures in 1..=3 {
        let client = usize::try_from(failures).unwrap();
        assert_eq!(admit(client, quiet).await, AttemptVerdict::Admitted { failures });
    }
}

async fn a_cancelled_attempt_does_not_count(it: &Counted<'_>) {
    it.cancel("a", NOW).await;
    for _ in 0..10 {
        assert_eq!(it.admit("a", NOW).await, ADMITTED);
        it.cancel("a", NOW).await;
    }
    // One of the two failures is still counted. One failure has no wait. After the next failure,
    // the client has to wait as after two failures.
    assert_eq!(it.admit("a", NOW).await, ADMITTED);
    assert_eq!(it.admit("a", NOW).await, ADMITTED);
    assert_eq!(it.admit("a", NOW).await, wait(5_000));
    it.cancel("a", NOW).await;
    assert_eq!(it.admit("a", NOW).await, ADMITTED);
    assert_eq!(it.admit("a", NOW).await, wait(5_000));
    // With the eighth failure, the cap is reached. When the eighth failure is cancelled, the cap is
    // no longer reached.
    for client in ["b", "c", "d", "e", "f", "g"] {
        assert_eq!(it.admit(client, NOW).await, ADMITTED);
    }
    it.cancel("never there", NOW).await;
    assert_eq!(it.admit("x", NOW).await, wait(HOUR_MS));
    it.cancel("g", NOW).await;
    assert_eq!(it.admit("x", NOW).await, ADMITTED);
}

async fn a_right_or_cancelled_attempt_beyond_the_cap_closes_nothing(it: &Counted<'_>) {
    it.reach_the_cap().await;
    let now = NOW + HOUR_MS;
    for _ in 0..3 {
        assert_eq!(it.with("owner", solved(1), now).await, ADMITTED);
        assert_eq!(it.with("other", solved(3), now).await, wait(36_000), "one at a time");
        assert_eq!(it.reset("owner", now).await, 1);
        assert_eq!(it.with("owner", solved(1), now).await, ADMITTED);
        it.cancel("owner", now).await;
    }
    assert_eq!(it.with("other", solved(1), now).await, ADMITTED);
    // A cancelled attempt does not use up the allowance and does not open a closed account.
    let closed = Counted { store: it.store, account: random_id() };
    closed.reach_the_cap().await;
    closed.prove("home", NOW).await;
    for client in ["a", "b", "c", "d"] {
        assert_eq!(closed.admit(client, NOW).await, ADMITTED);
        closed.cancel(client, NOW).await;
        assert_eq!(closed.admit("0", NOW).await, wait(HOUR_MS));
    }
}

async fn an_attempt_that_is_cancelled_leaves_no_record(it: &Counted<'_>) {
    assert_eq!(it.admit("a", NOW).await, ADMITTED);
    it.cancel("a", NOW).await;
    assert_eq!(it.store.attempts(&it.account, NOW).await.unwrap(), None);
    assert_eq!(it.admit("a", NOW).await, ADMITTED);
    assert_eq!(it.reset("a", NOW).await, 1);
    assert_eq!(it.store.attempts(&it.account, NOW).await.unwrap(), None);
}

async fn an_unknown_account_is_added_only_where_it_may_be(it: &Counted<'_>) {
    let closed = AttemptContext { may_add: false, ..NO_CAPTCHA };
    assert_eq!(it.with("a", closed, NOW).await, AttemptVerdict::Full);
    assert_eq!(it.store.attempts(&it.account, NOW).await.unwrap(), None);
    assert_eq!(it.admit("a", NOW).await, ADMITTED);
    assert_eq!(it.with("b", closed, NOW).await, ADMITTED, "it is known now");
    assert_eq!(it.with("b", closed, NOW + 3 * DAY_MS).await, AttemptVerdict::Full, "and forgotten");
}

async fn a_forgotten_account_starts_anew(it: &Counted<'_>) {
    it.reach_the_cap().await;
    let found = it.store.attempts(&it.account, NOW).await.unwrap().unwrap();
    assert_eq!((found.failures(&BACK_OFF, NOW), found.clients.len()), (8, 8));
    assert!(it.store.forget_attempts(&it.account).await.unwrap());
    assert!(!it.store.forget_attempts(&it.account).await.unwrap());
    assert_eq!(it.admit("x", NOW).await, ADMITTED);
}

async fn clients_that_expired_leave_the_record(it: &Counted<'_>) {
    for n in 0..130 {
        assert_eq!(it.known(&n.to_string(), NOW + n).await, ADMITTED);
    }
    assert_eq!(it.known("later", NOW + DAY_MS + 100).await, ADMITTED);
    let found = it.store.attempts(&it.account, NOW + DAY_MS + 100).await.unwrap().unwrap();
    assert_eq!(found.clients.len(), 30);
}
