//! Tests of `limiter.rs`, `policies.rs` and `table.rs`.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn home() -> IpAddr {
    ip("192.0.2.1")
}

fn limiter() -> (Limiter, Clock) {
    let clock = Clock::manual(1_795_467_791_042);
    (Limiter::new(clock.clone(), true), clock)
}

/// Sends `tries` requests at the same moment, and returns how many of them are allowed.
fn passed(limiter: &Limiter, action: Action, ip: IpAddr, tries: usize) -> usize {
    (0..tries).filter(|_| matches!(limiter.check(action, ip), Decision::Allowed(_))).count()
}

fn retry_after_s(decision: &Decision) -> u64 {
    match decision {
        Decision::Limited { retry_after_s, .. } => *retry_after_s,
        other => panic!("not limited: {other:?}"),
    }
}

#[test]
fn each_action_has_the_burst_that_was_decided() {
    let expected = [
        (Action::Anything, 300),
        (Action::Login, 10),
        (Action::Register, 10),
        (Action::Forgot, 5),
        (Action::Reset, 20),
        (Action::Verify, 20),
        (Action::Resend, 20),
        (Action::ExistEmail, 10),
        (Action::Captcha, 30),
        (Action::LoginFactor, 30),
        (Action::PasskeyOptions, 30),
        (Action::PasskeyLogin, 30),
        (Action::ClientFailure, 20),
    ];
    assert_eq!(expected.map(|(action, _)| action), Action::ALL);
    assert!(Action::ALL.iter().enumerate().all(|(at, action)| *action as usize == at));
    let (limiter, _) = limiter();
    for (action, burst) in expected {
        assert_eq!(passed(&limiter, action, home(), 400), burst, "{action:?}");
        assert_eq!(passed(&limiter, action, ip("192.0.2.2"), 400), burst, "another address");
    }
}

#[test]
fn looking_takes_nothing_and_sees_what_is_left() {
    let (limiter, clock) = limiter();
    let look = || matches!(limiter.look(Action::ClientFailure, home()), Decision::Allowed(_));
    assert!((0..100).all(|_| look()));
    assert_eq!(passed(&limiter, Action::ClientFailure, home(), 100), 20);
    assert!(!look());
    clock.advance(Duration::from_secs(3));
    assert!(look() && look());
    let Decision::Allowed(headers) = limiter.look(Action::ClientFailure, home()) else { panic!() };
    assert_eq!(headers.rate_limit(), "\"client-failure\";r=1;t=57");
}

#[test]
fn each_action_fills_at_the_rate_that_was_decided() {
    // A bucket regains one unit after exactly this many milliseconds.
    for (action, interval_ms) in [
        (Action::Anything, 200),
        (Action::Login, 6_000),
        (Action::Register, 720_000),
        (Action::Forgot, 720_000),
        (Action::Reset, 3_000),
        (Action::Verify, 3_000),
        (Action::Resend, 180_000),
        (Action::ExistEmail, 6_000),
        (Action::Captcha, 2_000),
        (Action::ClientFailure, 3_000),
    ] {
        let (limiter, clock) = limiter();
        passed(&limiter, action, home(), 400);
        clock.advance(Duration::from_millis(interval_ms - 1));
        assert_eq!(passed(&limiter, action, home(), 2), 0, "{action:?}");
        clock.advance(Duration::from_millis(1));
        assert_eq!(passed(&limiter, action, home(), 2), 1, "{action:?}");
    }
}

#[test]
fn a_patient_client_meets_the_longer_window() {
    for (action, name, burst, interval_s) in
        [(Action::Login, "login-hour", 100, 36), (Action::ExistEmail, "exist-email-day", 100, 864)]
    {
        let (limiter, clock) = limiter();
        let (mut passed, refused) = loop_until_refused(&limiter, &clock, action);
        // The loop sends one request every 6 s, so the limit per minute never refuses one. The
        // bucket that is tested also fills while the loop runs.
        let minutes_worth = passed * 6 / interval_s;
        assert!(passed >= burst && passed <= burst + minutes_worth + 1, "{action:?}: {passed}");
        let Decision::Limited { headers, retry_after_s } = refused else { unreachable!() };
        assert_eq!(headers.policy_name, name);
        clock.advance(Duration::from_secs(retry_after_s));
        passed = self::passed(&limiter, action, home(), 3).try_into().unwrap();
        assert_eq!(passed, 1);
    }
}

fn loop_until_refused(limiter: &Limiter, clock: &Clock, action: Action) -> (u64, Decision) {
    for passed in 0..1_000 {
        match limiter.check(action, home()) {
            Decision::Allowed(_) => clock.advance(Duration::from_secs(6)),
            refused => return (passed, refused),
        }
    }
    panic!("never refused")
}

#[test]
fn a_refused_request_takes_nothing_from_the_other_windows() {
    let (limiter, clock) = limiter();
    assert_eq!(passed(&limiter, Action::Login, home(), 1_000), 10);
    // A minute later the per-minute bucket is full again. The per-hour bucket has lost only 10
    // units, not 1 000, because the refused requests took nothing.
    for _ in 0..8 {
        clock.advance(Duration::from_mins(1));
        assert_eq!(passed(&limiter, Action::Login, home(), 1_000), 10);
    }
}

#[test]
fn an_ipv6_client_is_its_64_and_a_48_has_ten_times_as_much() {
    let (limiter, _) = limiter();
    assert_eq!(passed(&limiter, Action::Login, ip("2001:db8:1:1::1"), 20), 10);
    assert_eq!(passed(&limiter, Action::Login, ip("2001:db8:1:1:ffff::"), 20), 0, "the same /64");
    let rest: usize = (2..40)
        .map(|subnet| passed(&limiter, Action::Login, ip(&format!("2001:db8:1:{subnet:x}::1")), 20))
        .sum();
    assert_eq!(rest, 90, "the /48 is at 100");
    let Decision::Limited { headers, .. } = limiter.check(Action::Login, ip("2001:db8:1:ff::1"))
    else {
        panic!("not limited")
    };
    assert_eq!((headers.policy_name, headers.quota), ("login-48", 100));
    assert_eq!(passed(&limiter, Action::Login, ip("2001:db8:2:1::1"), 20), 10, "another /48");
}

#[test]
fn each_window_of_each_action_has_a_48_of_ten_times_as_much() {
    let from = |at: usize| ip(&format!("2001:db8:1:{at:x}::1"));
    for action in Action::ALL {
        for window in action.windows() {
            let (limiter, clock) = limiter();
            let (burst, steps) =
                (window.burst as usize, window.burst as usize * WIDE_FACTOR as usize);
            // Each /64 sends few requests, and sends them slowly. So only the bucket of the /48 for
            // this window can become empty.
            let shorter = action.windows().iter().any(|it| it.full_after < window.full_after);
            let mut refused = None;
            for at in 0..3 * steps {
                match limiter.check(action, from(at / burst.min(5))) {
                    Decision::Limited { headers, .. } => {
                        refused = Some((at, headers));
                        break;
                    }
                    _ if shorter => clock.advance(Duration::from_millis(600)),
                    _ => {}
                }
            }
            let (at, headers) = refused.expect("refused");
            assert_eq!((headers.policy_name, headers.quota as usize), (window.wide_name, steps));
            assert!(at >= steps, "{action:?}: {at}");
            assert_eq!(passed(&limiter, action, ip("2001:db8:2:1::1"), 1), 1, "another /48");
        }
    }
}

#[test]
fn a_mapped_address_is_the_ipv4_address() {
    let (limiter, _) = limiter();
    assert_eq!(passed(&limiter, Action::Login, home(), 20), 10);
    assert_eq!(passed(&limiter, Action::Login, ip("::ffff:192.0.2.1"), 20), 0);
    assert_eq!(passed(&limiter, Action::Login, ip("::ffff:192.0.2.2"), 20), 10);
}

#[test]
fn a_session_refreshes_sixty_times_a_minute() {
    let (limiter, clock) = limiter();
    let passed = |sid: &str| {
        (0..100).filter(|_| matches!(limiter.check_session(sid), Decision::Allowed(_))).count()
    };
    assert_eq!(passed("a"), 60);
    assert_eq!(passed("b"), 60);
    clock.advance(Duration::from_secs(1));
    assert_eq!(passed("a"), 1);
}

#[test]
fn a_known_device_has_ten_checks_a_minute_and_a_hundred_an_hour() {
    let (limiter, clock) = limiter();
    let passed = |id: &str| {
        (0..20)
            .filter(|_| matches!(limiter.ask_device(id, Mode::Spend), Decision::Allowed(_)))
            .count()
    };
    assert!((0..50).all(|_| matches!(limiter.ask_device("a", Mode::Look), Decision::Allowed(_))));
    assert_eq!((passed("a"), passed("b")), (10, 10));
    assert_eq!(retry_after_s(&limiter.ask_device("a", Mode::Look)), 6);
    let mut hour = 10;
    for _ in 0..59 {
        clock.advance(Duration::from_mins(1));
        hour += passed("a");
    }
    assert!((190..=200).contains(&hour), "a hundred, and what comes back in an hour: {hour}");
    let Decision::Limited { headers, .. } = limiter.ask_device("a", Mode::Spend) else { panic!() };
    assert_eq!(headers.policy_name, "device-hour");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_daemons_limits_is_monotonic_and_not_the_wall_clocks() {
    let limiter = Limiter::new(Clock::System, true);
    assert_eq!(passed(&limiter, Action::Login, home(), 20), 10);
    // The test advances the time of the tokio runtime. The clock of the machine does not advance
    // with it.
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(passed(&limiter, Action::Login, home(), 20), 0);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(passed(&limiter, Action::Login, home(), 20), 1);
}

#[test]
fn headers_tell_the_tightest_policy() {
    let (limiter, clock) = limiter();
    let Decision::Allowed(headers) = limiter.check(Action::Login, home()) else { panic!() };
    assert_eq!(headers.rate_limit_policy(), "\"login\";q=10;w=60");
    assert_eq!(headers.rate_limit(), "\"login\";r=9;t=6");
    passed(&limiter, Action::Login, home(), 20);
    let refused = limiter.check(Action::Login, home());
    let Decision::Limited { headers, retry_after_s: 6 } = refused else { panic!("{refused:?}") };
    assert_eq!(headers.rate_limit(), "\"login\";r=0;t=60");
    clock.advance(Duration::from_mins(1));
    let Decision::Allowed(headers) = limiter.check(Action::Register, home()) else { panic!() };
    assert_eq!(headers.rate_limit_policy(), "\"register\";q=10;w=7200");
}

#[test]
fn a_clock_that_jumps_back_neither_frees_nor_blocks_for_ever() {
    let Clock::Manual(time) = Clock::manual(1_000_000_000) else { unreachable!() };
    let limiter = Limiter::new(Clock::Manual(Arc::clone(&time)), true);
    assert_eq!(passed(&limiter, Action::Login, home(), 20), 10);
    time.fetch_sub(86_400_000, Ordering::SeqCst);
    assert_eq!(passed(&limiter, Action::Login, home(), 20), 0);
    time.fetch_add(6_000, Ordering::SeqCst);
    assert_eq!(passed(&limiter, Action::Login, home(), 20), 1, "time goes on from there");
}

#[test]
fn extreme_clocks_do_not_panic() {
    for (start, end) in [(i64::MIN, i64::MAX), (0, i64::MAX), (i64::MAX, i64::MIN)] {
        let Clock::Manual(time) = Clock::manual(start) else { unreachable!() };
        let limiter = Limiter::new(Clock::Manual(Arc::clone(&time)), true);
        assert_eq!(passed(&limiter, Action::Login, home(), 20), 10);
        time.store(end, Ordering::SeqCst);
        assert!(passed(&limiter, Action::Login, home(), 20) <= 10);
        limiter.sweep();
    }
}

#[test]
fn switched_off_it_limits_nothing_and_remembers_nobody() {
    let limiter = Limiter::new(Clock::manual(0), false);
    for _ in 0..1_000 {
        assert_eq!(limiter.check(Action::Login, home()), Decision::Unlimited);
        assert_eq!(limiter.check_session("a"), Decision::Unlimited);
    }
    assert_eq!(limiter.sweep(), 0);
}

#[test]
fn a_sweep_forgets_full_buckets_and_no_others() {
    let (limiter, clock) = limiter();
    for host in 0..100 {
        passed(&limiter, Action::Forgot, ip(&format!("192.0.2.{host}")), 1);
    }
    passed(&limiter, Action::Forgot, home(), 4);
    assert_eq!(limiter.sweep(), 100, "nobody is full yet");
    // The buckets are full after 12 minutes. They are removed one interval after that.
    clock.advance(Duration::from_mins(25));
    assert_eq!(limiter.sweep(), 1, "one spent more");
    assert_eq!(passed(&limiter, Action::Forgot, home(), 9), 2, "and is still remembered");
    clock.advance(Duration::from_hours(2));
    assert_eq!(limiter.sweep(), 0);
}

#[test]
fn refused_and_unknown_clients_take_no_memory() {
    let (limiter, _) = limiter();
    passed(&limiter, Action::Forgot, home(), 1_000);
    assert_eq!(limiter.sweep(), 1);
}

#[test]
fn beyond_the_cap_new_clients_are_limited_together_and_memory_does_not_grow() {
    let clock = Clock::manual(0);
    let limiter = Limiter::with_keys_max(clock.clone(), true, 50);
    let address = |at: u32| IpAddr::from((0xC000_0000 + at).to_be_bytes());
    assert_eq!(passed(&limiter, Action::Forgot, address(0), 1), 1);
    let new_clients: usize =
        (1..2_000).map(|at| passed(&limiter, Action::Forgot, address(at), 1)).sum();
    // 49 new clients have a bucket of their own. The other clients share 16 buckets, which admit 5
    // requests each.
    assert!(new_clients <= 49 + 16 * 5, "{new_clients}");
    assert_eq!(passed(&limiter, Action::Forgot, address(0), 9), 4, "who was known is not touched");
    assert_eq!(limiter.sweep(), 50);
    clock.advance(Duration::from_hours(2));
    assert_eq!(limiter.sweep(), 0);
    assert_eq!(passed(&limiter, Action::Forgot, address(1_999), 9), 5);
}

#[test]
fn threads_together_get_no_more_than_one_would() {
    let (limiter, _) = limiter();
    let total: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| passed(&limiter, Action::Anything, home(), 200)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(total, 300);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In any period of length L, each window of the action allows at most `burst + L / interval`
    /// requests.
    #[test]
    fn no_more_than_the_quota_passes_in_any_window(
        action in prop::sample::select(&Action::ALL[..]),
        steps in prop::collection::vec(0_u64..40_000, 1..400),
    ) {
        let (limiter, clock) = limiter();
        let start = clock.now();
        let mut at: VecDeque<i64> = VecDeque::new();
        for step in steps {
            clock.advance(Duration::from_millis(step));
            at.extend(std::iter::repeat_n(clock.now() - start, passed(&limiter, action, home(), 3)));
        }
        for window in action.windows() {
            let interval_ms = (window.full_after / window.burst).as_millis();
            for (from, begin) in at.iter().enumerate() {
                for (to, end) in at.iter().enumerate().skip(from) {
                    let stretch = u128::try_from(end - begin).unwrap();
                    let most = u128::from(window.burst) + stretch / interval_ms;
                    prop_assert!((to - from + 1) as u128 <= most, "{} in {stretch} ms", to - from + 1);
                }
            }
        }
    }

    #[test]
    fn waiting_as_long_as_retry_after_says_succeeds(
        action in prop::sample::select(&Action::ALL[..]),
        steps in prop::collection::vec(0_u64..20_000, 1..100),
        address in prop::sample::select(&["192.0.2.1", "2001:db8::1"][..]),
    ) {
        let (limiter, clock) = limiter();
        for step in steps {
            clock.advance(Duration::from_millis(step));
            passed(&limiter, action, ip(address), 20);
            let refused = limiter.check(action, ip(address));
            if matches!(refused, Decision::Limited { .. }) {
                clock.advance(Duration::from_secs(retry_after_s(&refused)));
                prop_assert!(matches!(limiter.check(action, ip(address)), Decision::Allowed(_)));
            }
        }
    }
}
