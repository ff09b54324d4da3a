//! Tests of the guard.

use super::*;

#[test]
fn connections_of_before_a_change_are_not_used_and_later_ones_are() {
    let shared = Shared::new();
    let age = Duration::ZERO;
    assert!(shared.is_trusted(age) && shared.is_trusted(Duration::from_mins(1)));
    let began = Instant::now();
    shared.distrust(began);
    assert!(!shared.is_trusted(shared.started.elapsed()));
    assert!(shared.is_trusted(Duration::ZERO));
    shared.distrust(shared.started);
    assert!(!shared.is_trusted(shared.started.elapsed()), "an older error changes nothing");
}

#[test]
fn an_error_that_comes_late_closes_no_connection_that_was_made_after_its_call_began() {
    let guard = Guard { shared: Shared::new(), pool: None };
    let call = guard.call();
    let made_since = Instant::now();
    let broken = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
    let broken = DbErr::Query(sea_orm::RuntimeErr::SqlxError(Arc::new(broken)));
    call.end::<()>(Err(broken)).unwrap_err();
    assert!(guard.shared.is_trusted(made_since.elapsed()));
    assert!(!guard.shared.is_trusted(guard.shared.started.elapsed()));
}

#[test]
fn of_many_callers_one_tries_the_next_connection() {
    let shared = Shared::new();
    assert!(shared.may_try());
    assert!(!shared.may_try(), "not within the same second");
    shared.put_off_the_next();
    assert!(!shared.may_try());
}

#[test]
fn a_write_that_succeeds_ends_a_refusal() {
    let guard = Guard { shared: Shared::new(), pool: None };
    guard.shared.refusal.store(STANDBY, Ordering::Release);
    assert_eq!(guard.shared.refusal(), Some(Refusal::Standby));
    guard.forget_refusal();
    assert_eq!(guard.shared.refusal(), None);
}

#[test]
fn a_call_that_is_given_up_late_is_suspicious_and_an_early_one_is_not() {
    let guard = Guard { shared: Shared::new(), pool: None };
    drop(guard.call());
    assert!(!guard.health().take_suspicion());
    let began = Instant::now().checked_sub(SUSPICIOUS_AFTER).unwrap();
    drop(Call { guard: &guard, began, has_ended: false });
    assert!(guard.health().take_suspicion());
    let ended = Call { guard: &guard, began, has_ended: false };
    ended.end(Ok(())).unwrap();
    assert!(!guard.health().take_suspicion());
}
