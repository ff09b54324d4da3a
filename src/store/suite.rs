//! Tests of sessions and tokens that every store must pass.
//!
//! This file is compiled twice: into the unit tests, which use SQLite, and into the integration
//! tests, which use Redis and PostgreSQL. In both, `super` contains the same names.

use std::time::Duration;

use futures_util::future::join_all;

use super::{
    OneTimeToken, PutToken, Refresh, Refreshed, SESSIONS_PER_USER_MAX, Session, Spend, Store,
    TokenKind, UnixMillis, Uuid, random_id, uuid_v7,
};

/// The time at which every test starts.
pub const NOW: UnixMillis = 1_795_467_791_042;
pub const HOUR_MS: i64 = 3_600_000;
pub const GRACE_MS: i64 = 30_000;
const IDLE: Duration = Duration::from_hours(2);

/// Runs all tests in order. Each test has its own users and keys.
pub async fn holds(store: &Store) {
    store.ping().await.unwrap();
    a_session_is_found_until_it_expires(store).await;
    a_refresh_rotates_and_slides_up_to_the_absolute_end(store).await;
    parallel_refreshes_of_one_token_rotate_once(store).await;
    super::recovery_suite::holds(store).await;
    a_token_two_generations_old_leaves_a_tombstone(store).await;
    a_token_ahead_or_of_a_fork_changes_nothing(store).await;
    what_has_expired_is_gone(store).await;
    sessions_are_listed_newest_first_and_ended_together(store).await;
    one_session_too_many_ends_the_least_recently_seen(store).await;
    a_live_session_can_be_amended(store).await;
    a_newer_token_kills_an_older_one_in_either_order(store).await;
    a_token_is_dropped_unless_its_row_stays(store).await;
    what_is_spent_once_is_spent_by_one_call(store).await;
    a_forgotten_user_leaves_nothing(store).await;
}

/// A session of a new user.
pub fn new_session() -> Session {
    Session {
        user_id: uuid_v7(NOW),
        sid: random_id(),
        jti: "jti-0".to_owned(),
        generation: 7,
        previous_jti: None,
        rotated_at: NOW,
        epoch: 3,
        team_id: Some(uuid_v7(NOW)),
        project_id: None,
        created_at: NOW,
        seen_at: NOW,
        expires_at: NOW + HOUR_MS,
        absolute_end: NOW + 3 * HOUR_MS,
        ip: "192.0.2.7".to_owned(),
        user_agent: "Läufer/1.0 \"'{}".to_owned(),
        client: "192.0.2.7".to_owned(),
        used: true,
        recovered: false,
        recoveries: 0,
        acr: "aal1".to_owned(),
        amr: vec!["pwd".to_owned()],
        auth_time: NOW,
        fresh: true,
    }
}

/// Creates the refresh that a client sends.
pub fn ask<'a>(
    session: &'a Session,
    jti: &'a str,
    generation: u64,
    next_jti: &'a str,
) -> Refresh<'a> {
    Refresh {
        user_id: session.user_id,
        sid: &session.sid,
        jti,
        generation,
        next_jti,
        idle_ttl: IDLE,
        grace: Duration::from_millis(GRACE_MS.unsigned_abs()),
        ip: "2001:db8::1",
        client: "2001:db8::/48",
        user_agent: "",
        seen: None,
    }
}

/// Marks a generation of a session as used.
pub async fn mark_used(store: &Store, user_id: Uuid, sid: &str, generation: u64) {
    let seen = Session { user_id, sid: sid.to_owned(), generation, ..new_session() };
    store.mark_used(&seen, NOW).await.unwrap();
}

pub async fn opened(store: &Store) -> Session {
    let session = new_session();
    store.open_session(&session, NOW).await.unwrap();
    session
}

pub async fn rotated(store: &Store, ask: &Refresh<'_>, now: UnixMillis) -> Session {
    match store.refresh(ask, now).await.unwrap() {
        Refreshed::Rotated(session) => session,
        other => panic!("not rotated: {other:?}"),
    }
}

async fn a_session_is_found_until_it_expires(store: &Store) {
    let mut session = new_session();
    session.amr.clear();
    store.open_session(&session, NOW).await.unwrap();
    store.open_session(&session, NOW).await.unwrap();
    let find = async |now| store.session(session.user_id, &session.sid, now).await.unwrap();
    assert_eq!(find(NOW + HOUR_MS - 1).await.as_ref(), Some(&session));
    assert_eq!(find(NOW + HOUR_MS).await, None);
    assert_eq!(store.session(session.user_id, "another", NOW).await.unwrap(), None);
    assert_eq!(store.session(uuid_v7(NOW), &session.sid, NOW).await.unwrap(), None);
}

async fn a_refresh_rotates_and_slides_up_to_the_absolute_end(store: &Store) {
    let opened = opened(store).await;
    let now = NOW + HOUR_MS / 2;
    let first = rotated(store, &ask(&opened, "jti-0", 7, "jti-1"), now).await;
    let expected = Session {
        jti: "jti-1".to_owned(),
        generation: 8,
        previous_jti: Some("jti-0".to_owned()),
        rotated_at: now,
        seen_at: now,
        expires_at: now + 2 * HOUR_MS,
        ip: "2001:db8::1".to_owned(),
        user_agent: String::new(),
        client: "2001:db8::/48".to_owned(),
        used: false,
        ..opened.clone()
    };
    assert_eq!(first, expected);
    let found = store.session(opened.user_id, &opened.sid, now + HOUR_MS).await.unwrap();
    assert_eq!(found, Some(expected));
    let second = rotated(store, &ask(&opened, "jti-1", 8, "jti-2"), now + 2 * HOUR_MS - 1).await;
    assert_eq!((second.generation, second.expires_at), (9, opened.absolute_end));
}

async fn parallel_refreshes_of_one_token_rotate_once(store: &Store) {
    let session = opened(store).await;
    let nexts: Vec<String> = (0..16).map(|n| format!("next-{n}")).collect();
    let asks: Vec<_> = nexts.iter().map(|next| ask(&session, "jti-0", 7, next)).collect();
    let answers = join_all(asks.iter().map(|ask| store.refresh(ask, NOW + 5))).await;
    let mut rotations = Vec::new();
    let mut others = Vec::new();
    for answer in answers {
        match answer.unwrap() {
            Refreshed::Rotated(session) => rotations.push(session),
            Refreshed::Current(session) => others.push(session),
            other => panic!("neither rotated nor current: {other:?}"),
        }
    }
    assert_eq!((rotations.len(), others.len()), (1, 15));
    assert!(others.iter().all(|it| *it == rotations[0]), "all get the one successor");
}

async fn a_token_two_generations_old_leaves_a_tombstone(store: &Store) {
    let session = opened(store).await;
    let (user, sid) = (session.user_id, session.sid.as_str());
    rotated(store, &ask(&session, "jti-0", 7, "jti-1"), NOW).await;
    let latest = rotated(store, &ask(&session, "jti-1", 8, "jti-2"), NOW).await;
    let dead = Refreshed::Reused(latest);
    assert_eq!(store.refresh(&ask(&session, "jti-0", 7, "x"), NOW).await.unwrap(), dead);
    for (jti, generation) in [("jti-0", 7), ("jti-1", 8), ("jti-2", 9), ("jti-9", 16)] {
        let answer = store.refresh(&ask(&session, jti, generation, "x"), NOW + 1).await.unwrap();
        assert_eq!(answer, dead, "generation {generation}");
    }
    assert_eq!(store.session(user, sid, NOW).await.unwrap(), None);
    assert_eq!(store.sessions(user, NOW).await.unwrap(), []);
    assert_eq!(store.restamp_session(user, sid, 4, NOW).await.unwrap(), None);
    assert_eq!(store.end_sessions(user, None).await.unwrap(), 0);
    assert_eq!(store.refresh(&ask(&session, "jti-2", 9, "x"), NOW).await.unwrap(), dead);
    store.end_session(user, sid).await.unwrap();
    let answer = store.refresh(&ask(&session, "jti-2", 9, "x"), NOW).await.unwrap();
    assert_eq!(answer, Refreshed::Gone);
}

async fn a_token_ahead_or_of_a_fork_changes_nothing(store: &Store) {
    let session = opened(store).await;
    for (jti, generation) in [("jti-9", 9), ("jti-8", 8), ("fork", 7), ("jti-0", 8)] {
        let answer = store.refresh(&ask(&session, jti, generation, "x"), NOW).await.unwrap();
        assert_eq!(answer, Refreshed::Ahead, "{jti}, generation {generation}");
    }
    let found = store.session(session.user_id, &session.sid, NOW).await.unwrap();
    assert_eq!(found, Some(session));
}

async fn what_has_expired_is_gone(store: &Store) {
    let live = opened(store).await;
    let end = live.expires_at;
    let asked = store.refresh(&ask(&live, "jti-0", 7, "x"), end).await.unwrap();
    assert_eq!(asked, Refreshed::Gone);
    let asked = store.refresh(&ask(&live, "old", 1, "x"), NOW).await.unwrap();
    assert_eq!(asked, Refreshed::Reused(live.clone()));
    let asked = store.refresh(&ask(&live, "old", 1, "x"), end).await.unwrap();
    assert_eq!(asked, Refreshed::Gone, "a tombstone expires with its session");
    let nobody = new_session();
    let asked = store.refresh(&ask(&nobody, "jti-0", 7, "x"), NOW).await.unwrap();
    assert_eq!(asked, Refreshed::Gone);
    assert_eq!(store.restamp_session(live.user_id, &live.sid, 4, end).await.unwrap(), None);
}

async fn sessions_are_listed_newest_first_and_ended_together(store: &Store) {
    let user_id = uuid_v7(NOW);
    let mut opened = Vec::new();
    for created_at in [NOW + 2, NOW, NOW + 1] {
        let session = Session { user_id, created_at, ..new_session() };
        store.open_session(&session, NOW).await.unwrap();
        opened.push(session);
    }
    let list = async || -> Vec<i64> {
        let sessions = store.sessions(user_id, NOW).await.unwrap();
        sessions.iter().map(|it| it.created_at - NOW).collect()
    };
    assert_eq!(list().await, [2, 1, 0]);
    assert_eq!(store.sessions(user_id, NOW + HOUR_MS).await.unwrap(), []);
    store.end_session(user_id, &opened[0].sid).await.unwrap();
    store.end_session(user_id, "unknown").await.unwrap();
    assert_eq!(list().await, [1, 0]);
    assert_eq!(store.end_sessions(user_id, Some(&opened[1].sid)).await.unwrap(), 1);
    assert_eq!(list().await, [0]);
    assert_eq!(store.end_sessions(user_id, None).await.unwrap(), 1);
    assert_eq!(store.end_sessions(user_id, None).await.unwrap(), 0);
    assert!(list().await.is_empty());
}

async fn one_session_too_many_ends_the_least_recently_seen(store: &Store) {
    let user_id = uuid_v7(NOW);
    let seen = |n: usize| NOW + i64::try_from(n).unwrap();
    let mut sids = Vec::new();
    for n in 0..SESSIONS_PER_USER_MAX {
        let seen_at = seen(n);
        let session = Session { user_id, created_at: seen_at, seen_at, ..new_session() };
        store.open_session(&session, NOW).await.unwrap();
        sids.push(session.sid);
    }
    // The oldest session is refreshed. So the second oldest session is the next one that ends.
    let oldest = Session { user_id, sid: sids[0].clone(), ..new_session() };
    rotated(store, &ask(&oldest, "jti-0", 7, "jti-1"), NOW + 5_000).await;
    let more = |n: usize| Session { user_id, seen_at: seen(n), ..new_session() };
    store.open_session(&more(6_000), NOW).await.unwrap();
    let alive = async |sid: &str| store.session(user_id, sid, NOW).await.unwrap().is_some();
    assert!(alive(&sids[0]).await && !alive(&sids[1]).await && alive(&sids[2]).await);
    let parallel: Vec<_> = (0..16).map(|n| more(7_000 + n)).collect();
    for answer in join_all(parallel.iter().map(|it| store.open_session(it, NOW))).await {
        answer.unwrap();
    }
    let listed = store.sessions(user_id, NOW).await.unwrap();
    assert_eq!(listed.len(), SESSIONS_PER_USER_MAX);
    assert!(alive(&sids[0]).await && !alive(&sids[17]).await && alive(&sids[18]).await);
    // Expired sessions are removed first. At this time, all sessions except the refreshed session
    // have expired.
    store
        .open_session(&Session { expires_at: NOW + 9 * HOUR_MS, ..more(0) }, NOW + HOUR_MS)
        .await
        .unwrap();
    let later = store.sessions(user_id, NOW + HOUR_MS).await.unwrap();
    assert_eq!(later.len(), 2);
}

async fn a_live_session_can_be_amended(store: &Store) {
    let session = opened(store).await;
    let (user, sid) = (session.user_id, session.sid.as_str());
    let restamped = Session { epoch: -4, ..session.clone() };
    let answer = store.restamp_session(user, sid, -4, NOW).await.unwrap();
    assert_eq!(answer.as_ref(), Some(&restamped));
    let project_id = Some(uuid_v7(NOW));
    let moved = Session { team_id: None, project_id, ..restamped };
    let answer = store.set_session_team(&session, None, project_id, NOW).await.unwrap();
    assert_eq!(answer.as_ref(), Some(&moved));
    assert_eq!(store.session(user, sid, NOW).await.unwrap(), Some(moved));
    assert_eq!(store.restamp_session(user, "unknown", 1, NOW).await.unwrap(), None);
}

/// Creates a token of a user. Each token has a different digest.
fn new_token(user_id: Uuid, kind: TokenKind, row_at: UnixMillis) -> OneTimeToken {
    OneTimeToken {
        kind,
        user_id,
        row_id: uuid_v7(row_at),
        digest: random_id(),
        stamp: 5,
        subject: Some(uuid_v7(NOW)),
        expires_at: NOW + HOUR_MS,
    }
}

async fn a_newer_token_kills_an_older_one_in_either_order(store: &Store) {
    let user = uuid_v7(NOW);
    let put = async |token: &OneTimeToken, now| store.put_token(token, now).await.unwrap();
    let find =
        async |token: &OneTimeToken, now| store.find_token(&token.digest, now).await.unwrap();
    let older = OneTimeToken { subject: None, ..new_token(user, TokenKind::Verify, NOW) };
    let newer = new_token(user, TokenKind::Verify, NOW + 1);
    let other = new_token(user, TokenKind::Recover, NOW);
    assert_eq!(put(&other, NOW).await, PutToken::Stored);
    assert_eq!(put(&older, NOW).await, PutToken::Stored);
    assert_eq!(find(&older, NOW).await.as_ref(), Some(&older));
    assert_eq!(put(&older, NOW).await, PutToken::Stored, "a retry");
    assert_eq!(put(&newer, NOW).await, PutToken::Stored);
    assert_eq!(find(&older, NOW).await, None);
    assert_eq!(put(&older, NOW).await, PutToken::Superseded);
    assert_eq!(find(&older, NOW).await, None);
    assert_eq!(find(&newer, NOW + HOUR_MS - 1).await.as_ref(), Some(&newer));
    assert_eq!(find(&newer, NOW + HOUR_MS).await, None);
    assert_eq!(find(&other, NOW).await.as_ref(), Some(&other), "another kind");
    assert_eq!(store.find_token("unknown", NOW).await.unwrap(), None);
    let late = OneTimeToken { expires_at: NOW + 5 * HOUR_MS, ..older };
    assert_eq!(put(&late, NOW + HOUR_MS).await, PutToken::Stored, "nothing newer lives");
}

async fn a_token_is_dropped_unless_its_row_stays(store: &Store) {
    let token = new_token(uuid_v7(NOW), TokenKind::Recover, NOW);
    store.put_token(&token, NOW).await.unwrap();
    let user = token.user_id;
    let find = async || store.find_token(&token.digest, NOW).await.unwrap();
    store.drop_token(user, TokenKind::Recover, Some(token.row_id)).await.unwrap();
    store.drop_token(user, TokenKind::Verify, None).await.unwrap();
    assert!(find().await.is_some());
    store.drop_token(user, TokenKind::Recover, Some(uuid_v7(NOW))).await.unwrap();
    assert!(find().await.is_none());
    store.put_token(&token, NOW).await.unwrap();
    store.drop_token(user, TokenKind::Recover, None).await.unwrap();
    assert!(find().await.is_none());
}

async fn what_is_spent_once_is_spent_by_one_call(store: &Store) {
    let key = random_id();
    let spends = join_all((0..16).map(|_| store.spend_once(&key, NOW + 500, NOW))).await;
    let firsts = spends.into_iter().filter(|it| *it.as_ref().unwrap() == Spend::First).count();
    assert_eq!(firsts, 1);
    let spend = async |until, now| store.spend_once(&key, until, now).await.unwrap();
    assert_eq!(spend(NOW + 900, NOW + 499).await, Spend::Again);
    assert_eq!(spend(NOW + 500, NOW + 500).await, Spend::Again, "expired");
    assert_eq!(spend(NOW + 900, NOW + 500).await, Spend::First);
    assert_eq!(spend(NOW + 900, NOW + 501).await, Spend::Again);
}

async fn a_forgotten_user_leaves_nothing(store: &Store) {
    let (session, other) = (opened(store).await, opened(store).await);
    let user = session.user_id;
    let token = new_token(user, TokenKind::ChangeEmail, NOW);
    store.put_token(&token, NOW).await.unwrap();
    store.refresh(&ask(&session, "old", 1, "x"), NOW).await.unwrap();
    store.forget_user(user).await.unwrap();
    store.forget_user(user).await.unwrap();
    assert_eq!(store.find_token(&token.digest, NOW).await.unwrap(), None);
    let answer = store.refresh(&ask(&session, "jti-0", 7, "x"), NOW).await.unwrap();
    assert_eq!(answer, Refreshed::Gone);
    assert!(store.session(other.user_id, &other.sid, NOW).await.unwrap().is_some());
}
