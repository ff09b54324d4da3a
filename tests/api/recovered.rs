//! Tests of a refresh whose response was lost. A refresh with the previous userToken returns the
//! current tokens again, as long as this does not help a thief.

use std::time::Duration;

use serde_json::json;

use crate::app::{TestApp, both};
use crate::ask::at_once;
use crate::audit::actions;
use crate::client::{Person, claims};
use crate::limits_attempts::at;
use crate::people::{claim, people};

const PATH: &str = "/api/refresh";
const PAST_GRACE: Duration = Duration::from_secs(31);

/// Sends a refresh and returns the new userToken. The user does not store it and keeps the previous
/// one, as if the response were lost.
async fn lose_a_refresh(person: &Person) -> String {
    person.as_user().get(PATH).await.tokens().user
}

async fn recoveries(app: &TestApp, person: &Person) -> usize {
    let claims = claims(&person.user_token);
    let user_id = claims["sub"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    actions(app, user_id).await.iter().filter(|it| *it == "session.recovered").count()
}

both!(a_refresh_whose_response_was_lost_is_repeated_later, async |app| {
    let mut person = app.verified("ada@example.org").await;
    person.me().await.expect(200);
    let lost = lose_a_refresh(&person).await;
    for pause in [PAST_GRACE, Duration::from_hours(24)] {
        app.clock.advance(pause);
        let again = person.as_user().get(PATH).await.tokens().user;
        assert_eq!(claims(&again)["jti"], claims(&lost)["jti"], "no second rotation");
    }
    person.refresh().await.expect(200);
    person.me().await.expect(200);
    assert_eq!(recoveries(app, &person).await, 3, "each response is recorded");
    app.no_mail_to("ada@example.org").await;
    let metrics = app.admin().get("/metrics").await.text();
    let counted = "latchkey_refreshes_total{outcome=\"recovered\"} 3";
    assert!(metrics.contains(counted), "{metrics}");
});

both!(the_first_use_of_the_current_token_on_any_route_makes_the_previous_one_stolen, async |app| {
    for (number, path) in ["/api/me", "/api/sessions", "/api/teams"].into_iter().enumerate() {
        let email = format!("ada{number}@example.org");
        let person = app.verified(&email).await;
        let current = lose_a_refresh(&person).await;
        app.clock.advance(PAST_GRACE);
        app.anonymous().bearer(&current).get(path).await.expect(200);
        person.as_user().get(PATH).await.expect_problem(401, "refresh-reused");
        app.anonymous().bearer(&current).get(path).await.expect(401);
        app.mail_to(&email).await;
    }
});

both!(the_third_lost_response_in_a_row_is_a_theft, async |app| {
    let mut person = app.verified("ada@example.org").await;
    for step in 0..3 {
        let previous = person.clone();
        person.refresh().await.expect(200);
        app.clock.advance(PAST_GRACE);
        let again = previous.as_user().get(PATH).await;
        if step < 2 {
            again.expect(200);
        } else {
            again.expect_problem(401, "refresh-reused");
        }
    }
    person.refresh().await.expect(401);
    app.mail_to("ada@example.org").await;
});

both!(a_thief_one_step_behind_is_found, ["http.trusted_proxies" = "127.0.0.0/8"], async |app| {
    let mut person = app.verified("ada@example.org").await;
    let mut found = false;
    for _ in 0..4 {
        let stolen = person.user_token.clone();
        person.refresh().await.expect(200);
        let thief = at(app, "198.51.100.9").bearer(&stolen).get(PATH).await;
        if thief.status == 401 {
            assert_eq!(thief.problem_code(), "refresh-reused");
            found = true;
            break;
        }
        person.me().await.expect(200);
        app.clock.advance(PAST_GRACE);
    }
    assert!(found, "a thief who always holds the previous token goes on");
    person.me().await.expect(401);
    app.mail_to("ada@example.org").await;
});

both!(
    another_address_within_the_grace_period_is_recorded,
    ["http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let home = at(app, "2001:db8:1:2::1").bearer(&person.user_token);
        home.get(PATH).await.expect(200);
        at(app, "2001:db8:1:ffff::9").bearer(&person.user_token).get(PATH).await.expect(200);
        assert_eq!(recoveries(app, &person).await, 0, "the same IPv6 /48");
        at(app, "2001:db8:2::1").bearer(&person.user_token).get(PATH).await.expect(200);
        home.get(PATH).await.expect(200);
        assert_eq!(recoveries(app, &person).await, 1);
    }
);

both!(two_daemons_agree_about_a_lost_response, async |app| {
    let person = app.verified("ada@example.org").await;
    let lost = lose_a_refresh(&person).await;
    app.clock.advance(PAST_GRACE);
    let other = app.replica().await;
    let again = at_once(8, async |number: usize| {
        let daemon = if number.is_multiple_of(2) { app.anonymous() } else { other.anonymous() };
        daemon.bearer(&person.user_token).get(PATH).await.tokens().user
    })
    .await;
    for token in &again {
        assert_eq!(claims(token)["jti"], claims(&lost)["jti"]);
    }
    other.anonymous().bearer(&again[0]).get("/api/me").await.expect(200);
    person.as_user().get(PATH).await.expect_problem(401, "refresh-reused");
    app.mail_to("ada@example.org").await;
    other.finish().await;
});

both!(only_a_refresh_gives_a_newer_token, async |app| {
    let [mut ada] = people(app, ["ada"]).await;
    let (old, team) = (ada.clone(), claim(&ada, "tid"));
    ada.refresh().await.expect(200);
    ada.me().await.expect(200);
    app.clock.advance(PAST_GRACE);
    let switched = old.as_user().post_json(&format!("/api/teams/{team}/switch"), json!({})).await;
    assert_eq!(switched.expect(200).tokens().user, old.user_token);
    old.as_user().get(PATH).await.expect_problem(401, "refresh-reused");
    app.mail_to(&ada.email).await;
});

both!(a_resend_gives_no_newer_token, ["captcha.provider" = "none"], async |app| {
    let mut person = app.register("ada@example.org").await;
    app.mail_to("ada@example.org").await;
    let old = person.clone();
    person.refresh().await.expect(200);
    let resent = old.as_user().get("/api/resend-email-verification").await;
    assert_eq!(resent.expect(200).tokens().user, old.user_token);
    app.mail_to("ada@example.org").await;
});
