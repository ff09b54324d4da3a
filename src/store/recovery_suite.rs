//! Tests of the previous token of a session, which every store must pass. `suite.rs` runs them.

use super::suite::{GRACE_MS, HOUR_MS, NOW, ask, mark_used, opened, rotated};
use super::{Refresh, Refreshed, Session, Store};

/// Runs all tests in order.
pub async fn holds(store: &Store) {
    the_previous_token_is_good_within_the_grace_period(store).await;
    a_lost_response_is_recovered_until_the_current_token_is_used(store).await;
    another_client_recovers_the_token_within_the_grace_period(store).await;
    the_third_recovery_in_a_row_is_a_theft(store).await;
}

async fn the_previous_token_is_good_within_the_grace_period(store: &Store) {
    let session = opened(store).await;
    let after = rotated(store, &ask(&session, "jti-0", 7, "jti-1"), NOW).await;
    let (user, sid) = (session.user_id, session.sid.as_str());
    let again = ask(&session, "jti-0", 7, "jti-x");
    let answer = store.refresh(&again, NOW + GRACE_MS).await.unwrap();
    assert_eq!(answer, Refreshed::Current(after.clone()));
    let before = store.refresh(&again, NOW - 1_000).await.unwrap();
    assert_eq!(before, Refreshed::Current(after.clone()), "a replica whose clock is behind");
    mark_used(store, user, sid, 8).await;
    let marked = Session { used: true, ..after };
    let answer = store.refresh(&again, NOW + GRACE_MS).await.unwrap();
    assert_eq!(answer, Refreshed::Current(marked.clone()), "a second tab");
    let answer = store.refresh(&again, NOW + GRACE_MS + 1).await.unwrap();
    assert_eq!(answer, Refreshed::Reused(marked));
}

/// The session after a recovery of its current token.
fn after_recovery(session: &Session) -> Session {
    let recoveries = session.recoveries + 1;
    Session { recovered: true, recoveries, fresh: false, ..session.clone() }
}

async fn a_lost_response_is_recovered_until_the_current_token_is_used(store: &Store) {
    let session = opened(store).await;
    let (user, sid) = (session.user_id, session.sid.as_str());
    let lost = rotated(store, &ask(&session, "jti-0", 7, "jti-1"), NOW).await;
    let again = ask(&session, "jti-0", 7, "jti-x");
    for now in [NOW + GRACE_MS + 1, NOW + HOUR_MS] {
        let answer = store.refresh(&again, now).await.unwrap();
        assert_eq!(answer, Refreshed::Recovered(after_recovery(&lost)));
    }
    let found = store.session(user, sid, NOW).await.unwrap();
    assert_eq!(found, Some(after_recovery(&lost)));
    for (generation, is_used) in [(7, false), (9, false), (8, true), (8, true)] {
        mark_used(store, user, sid, generation).await;
        let found = store.session(user, sid, NOW).await.unwrap().unwrap();
        assert_eq!(found.used, is_used, "generation {generation}");
    }
    mark_used(store, user, "unknown", 8).await;
    let answer = store.refresh(&again, NOW + HOUR_MS).await.unwrap();
    assert!(matches!(answer, Refreshed::Reused(_)), "{answer:?}");
    mark_used(store, user, sid, 8).await;
    assert_eq!(store.session(user, sid, NOW).await.unwrap(), None, "it stays a tombstone");
}

async fn another_client_recovers_the_token_within_the_grace_period(store: &Store) {
    let session = opened(store).await;
    let after = rotated(store, &ask(&session, "jti-0", 7, "jti-1"), NOW).await;
    mark_used(store, session.user_id, &session.sid, 8).await;
    let elsewhere = Refresh { client: "192.0.2.8", ..ask(&session, "jti-0", 7, "jti-x") };
    let recovered = after_recovery(&Session { used: true, ..after });
    let answer = store.refresh(&elsewhere, NOW + GRACE_MS).await.unwrap();
    assert_eq!(answer, Refreshed::Recovered(recovered.clone()));
    let answer = store.refresh(&ask(&session, "jti-0", 7, "x"), NOW + GRACE_MS).await.unwrap();
    assert_eq!(answer, Refreshed::Current(recovered.clone()), "the client of the rotation");
    let answer = store.refresh(&elsewhere, NOW + GRACE_MS + 1).await.unwrap();
    assert_eq!(answer, Refreshed::Reused(recovered));
}

async fn the_third_recovery_in_a_row_is_a_theft(store: &Store) {
    // Each step is one rotation. If the step is `true`, the response is lost, and the client sends
    // the previous token again.
    for (steps, is_theft) in [
        (&[true, true, true][..], true),
        (&[true, true, false, true, true], false),
        (&[true, false, true, true, true], true),
    ] {
        let session = opened(store).await;
        let mut now = NOW;
        let mut last = None;
        for (step, is_lost) in steps.iter().enumerate() {
            let generation = 7 + u64::try_from(step).unwrap();
            let (jti, next) = (format!("jti-{step}"), format!("jti-{}", step + 1));
            rotated(store, &ask(&session, &jti, generation, &next), now).await;
            now += GRACE_MS + 1;
            if *is_lost {
                let again = ask(&session, &jti, generation, "x");
                last = Some(store.refresh(&again, now).await.unwrap());
            }
        }
        match last {
            Some(Refreshed::Reused(_)) => assert!(is_theft, "{steps:?}"),
            Some(Refreshed::Recovered(_)) => assert!(!is_theft, "{steps:?}"),
            other => panic!("{steps:?}: {other:?}"),
        }
    }
}
