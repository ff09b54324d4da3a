//! Tests of `GET /api/refresh`: rotation, grace time, reuse of a token, and the ways in which a
//! session ends.

use std::time::Duration;

use hyper::Method;
use latchkey::token::jwt::mint;
use serde_json::json;

use crate::app::both;
use crate::ask::at_once;
use crate::client::{Client, claims};
use crate::people::{claim, people};

const REUSED: &str = "Bearer realm=\"latchkey\", error=\"invalid_token\"";
const PATH: &str = "/api/refresh";

async fn is_dead(client: &Client) {
    client.get("/api/me").await.expect_problem(401, "invalid-token");
}

both!(a_refresh_rotates_the_token, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let before = claims(&person.user_token);
    app.clock.advance(Duration::from_mins(1));
    let answer = person.refresh().await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("etag"), None);
    let after = claims(&person.user_token);
    assert_eq!(after["gen"].as_u64(), before["gen"].as_u64().map(|generation| generation + 1));
    assert_ne!(after["jti"], before["jti"]);
    for same in ["iss", "aud", "sub", "sid", "auth_time", "amr"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(after["iat"].as_i64(), before["iat"].as_i64().map(|at| at + 60));
});

both!(of_sixteen_refreshes_all_succeed_with_one_rotation, async |app| {
    let person = app.verified("ada@example.org").await;
    let answers = at_once(16, async |_| person.as_user().get(PATH).await).await;
    let mut seen: Vec<(String, String)> = answers
        .iter()
        .map(|answer| {
            let claims = claims(&answer.tokens().user);
            (claims["jti"].to_string(), claims["gen"].to_string())
        })
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].1, "1");
});

both!(the_token_before_gets_the_current_one_within_the_grace, async |app| {
    let old = app.verified("ada@example.org").await;
    let mut new = old.clone();
    new.refresh().await.expect(200);
    app.clock.advance(Duration::from_secs(30));
    let again = old.as_user().get(PATH).await.tokens();
    assert_eq!(claims(&again.user)["jti"], claims(&new.user_token)["jti"]);
    assert_eq!(claims(&again.user)["gen"], 1);
    new.refresh().await.expect(200);
    assert_eq!(claims(&new.user_token)["gen"], 2);
});

both!(a_replaced_token_is_a_stolen_one_once_its_successor_was_used, async |app| {
    let old = app.verified("ada@example.org").await;
    let mut new = old.clone();
    new.refresh().await.expect(200);
    new.me().await.expect(200);
    app.clock.advance(Duration::from_millis(30_001));
    let answer = old.as_user().get(PATH).await.expect_problem(401, "refresh-reused");
    assert_eq!(answer.header("www-authenticate"), Some(REUSED));
    is_dead(&new.as_user()).await;
    new.refresh().await.expect(401);
    app.mail_to("ada@example.org").await;
});

both!(an_older_token_ends_the_session_and_no_other, async |app| {
    let first = app.verified("ada@example.org").await;
    let mut other = first.another_device().await;
    let mut second = first.clone();
    second.refresh().await.expect(200);
    let mut third = second.clone();
    third.refresh().await.expect(200);
    // Any unexpired token of an open session is valid on every route except the refresh.
    first.me().await.expect(200);
    first.as_user().get(PATH).await.expect_problem(401, "refresh-reused");
    for stolen in [&first, &second, &third] {
        is_dead(&stolen.as_user()).await;
        stolen.as_user().get(PATH).await.expect(401);
    }
    let mail = app.mail_to("ada@example.org").await;
    assert_eq!(mail.subject, "A session at Latchkey was ended for your safety");
    assert_eq!(mail.token, None);
    app.no_mail_to("ada@example.org").await;
    other.me().await.expect(200);
    other.refresh().await.expect(200);
    let sessions = other.sessions().await.expect(200).json();
    let items = sessions["items"].as_array().expect("a list");
    assert!(items.iter().all(|item| item["sid"] != first.sid.as_str()), "{sessions}");
});

both!(many_reuses_at_once_mail_once, async |app| {
    let first = app.verified("ada@example.org").await;
    let mut last = first.clone();
    last.refresh().await.expect(200);
    last.refresh().await.expect(200);
    let answers = at_once(8, async |_| first.as_user().get(PATH).await).await;
    assert!(answers.iter().all(|answer| answer.status == 401), "{answers:#?}");
    assert!(answers.iter().any(|answer| answer.problem_code() == "refresh-reused"));
    is_dead(&last.as_user()).await;
    app.mail_to("ada@example.org").await;
    app.no_mail_to("ada@example.org").await;
});

both!(an_expired_token_refreshes_and_reads_nothing, async |app| {
    let mut person = app.verified("ada@example.org").await;
    app.clock.advance(Duration::from_mins(15) - Duration::from_secs(1));
    person.me().await.expect(200);
    app.clock.advance(Duration::from_secs(2));
    for path in ["/api/me", "/api/sessions", "/api/teams"] {
        let answer = person.as_user().get(path).await.expect_problem(401, "invalid-token");
        assert_eq!(answer.header("www-authenticate"), Some(REUSED));
    }
    person.refresh().await.expect(200);
    person.me().await.expect(200);
});

both!(a_session_ends_two_weeks_after_its_last_refresh, async |app| {
    let idle = Duration::from_hours(14 * 24);
    let mut kept = app.verified("ada@example.org").await;
    let mut left = kept.another_device().await;
    app.clock.advance(idle.saturating_sub(Duration::from_secs(1)));
    kept.refresh().await.expect(200);
    app.clock.advance(Duration::from_secs(2));
    left.refresh().await.expect_problem(401, "invalid-token");
    kept.refresh().await.expect(200);
});

both!(a_session_ends_after_thirty_days_however_it_is_used, async |app| {
    let mut person = app.verified("ada@example.org").await;
    for _ in 0..29 {
        app.clock.advance(Duration::from_hours(24));
        person.refresh().await.expect(200);
    }
    app.clock.advance(Duration::from_hours(24) - Duration::from_secs(1));
    person.refresh().await.expect(200);
    person.me().await.expect(200);
    app.clock.advance(Duration::from_secs(2));
    person.me().await.expect_problem(401, "invalid-token");
    person.refresh().await.expect_problem(401, "invalid-token");
    person.login().await.expect(200);
});

both!(what_is_no_user_token_refreshes_nothing, async |app| {
    let person = app.verified("ada@example.org").await;
    let anonymous = app.anonymous();
    let bare = anonymous.get(PATH).await.expect_problem(401, "invalid-token");
    assert_eq!(bare.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    anonymous.get(&format!("{PATH}?access_token={}", person.user_token)).await.expect(401);
    anonymous
        .header("authorization", &format!("Basic {}", person.user_token))
        .get(PATH)
        .await
        .expect(401);
    let mut forged = person.user_token.clone();
    let last = if forged.pop() == Some('A') { "Q" } else { "A" };
    forged.replace_range(forged.len() - 1.., last);
    for token in [&person.vault_token, &forged, "x.y.z", "x"] {
        let answer = anonymous.bearer(token).get(PATH).await.expect_problem(401, "invalid-token");
        assert_eq!(answer.header("www-authenticate"), Some(REUSED));
    }
    anonymous
        .header("authorization", &format!("bearer {}", person.user_token))
        .get(PATH)
        .await
        .expect(200);
});

both!(a_look_ahead_rotates_nothing, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let head = person.as_user().bare(Method::HEAD, PATH).await.expect(405);
    assert_eq!(head.header("allow"), Some("OPTIONS, GET"));
    person
        .as_user()
        .header("sec-purpose", "prefetch")
        .get(PATH)
        .await
        .expect_problem(403, "forbidden");
    person.refresh().await.expect(200);
    assert_eq!(claims(&person.user_token)["gen"], 1);
});

both!(a_restart_keeps_people_sessions_and_keys, async |mut app| {
    let person = app.verified("ada@example.org").await;
    let ended = person.another_device().await;
    ended.logout().await.expect(204);
    let keys = app.anonymous().get("/.well-known/jwks.json").await.json();
    app.restart().await;
    let anonymous = app.anonymous();
    assert_eq!(anonymous.get("/.well-known/jwks.json").await.json(), keys);
    anonymous.bearer(&person.user_token).get("/api/me").await.expect(200);
    let refreshed = anonymous.bearer(&person.user_token).get(PATH).await.tokens();
    anonymous.bearer(&refreshed.user).get(PATH).await.expect(200);
    is_dead(&anonymous.bearer(&ended.user_token)).await;
    anonymous.login(&person.email, &person.password).await.expect(200);
});

both!(each_session_refreshes_into_its_own_project_and_team, async |app| {
    let [mut here] = people(app, ["ada"]).await;
    let (team, first) = (claim(&here, "tid"), claim(&here, "pid"));
    let path = format!("/api/teams/{team}/projects");
    let made = here.as_user().post_json(&path, json!({ "name": "Two" })).await.expect(200).json();
    let second = made["id"].as_str().expect("an id").to_owned();
    let other_team = here.make_team("Other").await["id"].as_str().expect("an id").to_owned();
    let mut there = here.another_device().await;
    let mut elsewhere = here.another_device().await;
    // The team and project that the user chooses on another device do not change this session.
    app.clock.advance(Duration::from_secs(1));
    there.switch(&team, json!({ "projectId": second })).await.expect(200);
    app.clock.advance(Duration::from_secs(1));
    elsewhere.switch(&other_team, json!({})).await.expect(200);
    let others_first = claim(&elsewhere, "pid");
    let places = [
        (&mut here, &team, &first),
        (&mut there, &team, &second),
        (&mut elsewhere, &other_team, &others_first),
    ];
    for (session, team, project) in places {
        session.refresh().await.expect(200);
        assert_eq!((&claim(session, "tid"), &claim(session, "pid")), (team, project));
        let me = session.me().await.expect(200).json();
        assert_eq!((&me["team"]["id"], &me["project"]["id"]), (&json!(team), &json!(project)));
    }
});

both!(a_refresh_asks_the_database_once_and_before_the_rotation, async |app| {
    let [mut here] = people(app, ["ada"]).await;
    let team = here.make_team("Other").await["id"].as_str().expect("an id").to_owned();
    let mut there = here.another_device().await;
    there.switch(&team, json!({})).await.expect(200);
    app.outbox_is_empty().await;
    let db = &app.inside().db;
    // The embedded token store is in the same database. It adds three statements: one read of the
    // session and two statements for the rotation.
    let store = if db.is_postgres() { 0 } else { 3 };
    for session in [&mut here, &mut there] {
        let before = db.statements();
        session.refresh().await.expect(200);
        assert_eq!(db.statements() - before, 1 + store);
    }
});

// The replica that signed the token has a clock that is an hour ahead, or the clock of this daemon
// was set back. A 401 would make the client drop its session.
both!(a_token_from_the_future_refreshes_and_logs_out, async |app| {
    let person = app.verified("ada@example.org").await;
    let keys = app.inside().keys.current();
    let ahead = |ahead_s: i64| {
        let mut claims = claims(&person.user_token);
        for name in ["iat", "nbf", "exp"] {
            claims[name] = json!(claims[name].as_i64().expect("a time") + ahead_s);
        }
        mint(&keys.user, &claims).expect("signed")
    };
    let hour = app.anonymous().bearer(&ahead(3_600));
    hour.get("/api/me").await.expect_problem(401, "invalid-token");
    let tokens = hour.get("/api/refresh").await.tokens();
    app.anonymous().bearer(&tokens.user).get("/api/me").await.expect(200);
    hour.bare(Method::POST, "/api/logout").await.expect(204);
    hour.get("/api/refresh").await.expect_problem(401, "invalid-token");
    app.anonymous().bearer(&tokens.user).get("/api/me").await.expect(401);
});
