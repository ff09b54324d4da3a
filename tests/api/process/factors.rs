//! Tests of the operator's commands for second factors.

use serde_json::{Value, json};

use super::users::{on_servers, value};
use super::{PATIENCE, Place, Running};
use crate::client::{Answer, Person};
use crate::factor_lifecycle::{add_totp, challenge, login_factor};
use crate::poll::eventually;

const EMAIL: &str = "ada@work.example";

pub(super) fn now() -> i64 {
    latchkey::clock::Clock::System.now()
}

async fn with_totp(running: &Running) -> Person {
    let mut ada = Person::register(&running.client, EMAIL).await;
    let mail = running.mail_to(EMAIL, 0).await;
    ada.verify(mail.token()).await.expect(200);
    add_totp(&mut ada, "Ada's phone", now()).await;
    ada
}

pub(super) fn exported(place: &Place) -> Value {
    let out = place.run(&["users", "export", "--with-password-hashes"]).expect(0).stdout();
    value(out.lines().next().expect("one account"))
}

async fn an_operator_resets_factors(mut place: Place) {
    let running = place.start().await;
    let ada = with_totp(&running).await;
    let shown = value(&place.run(&["users", "show", EMAIL, "--json"]).expect(0).stdout());
    let factor = &shown["factors"][0];
    assert_eq!((&factor["kind"], &factor["name"]), (&json!("totp"), &json!("Ada's phone")));
    assert_eq!(shown["recoveryCodesLeft"], 10);
    let text = place.run(&["users", "show", EMAIL]).expect(0).stdout();
    assert!(text.contains("Ada's phone") && text.contains("10 recovery codes"), "{text}");
    let line = exported(&place);
    let factors = line["factors"].as_array().expect("a list");
    let members: Vec<&String> = factors[0].as_object().expect("an object").keys().collect();
    assert_eq!(members, ["createdAt", "kind", "name"], "no secret: {line}");
    let checked = place.run(&["doctor"]).stdout();
    assert!(checked.contains("secrets can be decrypted (1 checked)"), "{checked}");

    let waiting = challenge(&running.client, EMAIL, &ada.password).await;
    let reset = place.run(&["users", "reset-factors", EMAIL, "--json"]).expect(0).stdout();
    assert_eq!(value(&reset)["changed"], true);
    ada.me().await.expect_problem(401, "invalid-token");
    let late = login_factor(&running.client, &waiting, "123456").await;
    late.expect_problem(401, "challenge-invalid");
    running.anonymous().login(EMAIL, &ada.password).await.expect(200);
    let again = place.run(&["users", "reset-factors", EMAIL]).expect(0);
    assert!(again.stderr().contains("no second factor (no change)"), "{}", again.stderr());
    let unknown = place.run(&["users", "reset-factors", "nobody@work.example"]).expect(1);
    assert!(unknown.stderr().contains("there is no account"), "{}", unknown.stderr());
    place.run(&["users", "reset-factors", "not-an-address"]).expect(2);
    assert_eq!(exported(&place)["factors"], json!([]));
    let events = place.run(&["audit", "export"]).expect(0).stdout();
    assert_eq!(events.matches("\"factor.reset\"").count(), 1, "{events}");
    let checked = place.run(&["doctor"]).stdout();
    assert!(checked.contains("no user has an authenticator app"), "{checked}");
    running.stop().await;
}

#[tokio::test]
async fn an_operator_resets_factors_embedded() {
    an_operator_resets_factors(Place::new()).await;
}

#[tokio::test]
async fn an_operator_resets_factors_on_servers() {
    let (place, _database) = on_servers().await;
    an_operator_resets_factors(place).await;
}

async fn the_list_of_users_without_a_factor_is_paged(mut place: Place) {
    let running = place.start().await;
    let ada = with_totp(&running).await;
    for name in ["bob", "eve", "kim"] {
        Person::register(&running.client, &format!("{name}@work.example")).await;
    }
    let list = |more: &[&str]| {
        let all = [&["users", "list", "--without-factor", "--json"], more].concat();
        let page = value(&place.run(&all).expect(0).stdout());
        let items = page["items"].as_array().expect("a list").clone();
        let emails: Vec<_> = items.iter().map(|it| it["email"].clone()).collect();
        (emails, page["next"].as_str().map(str::to_owned))
    };
    let (first, next) = list(&["--limit", "2"]);
    assert_eq!(first, ["bob@work.example", "eve@work.example"]);
    let (second, end) = list(&["--limit", "2", "--after", &next.expect("a second page")]);
    assert_eq!((second, end), (vec![json!("kim@work.example")], None));
    place.run(&["users", "disable", "kim@work.example"]).expect(0);
    let (found, _) = list(&["--search", "work", "--status", "disabled", "--unverified"]);
    assert_eq!(found, ["kim@work.example"]);
    assert_eq!(list(&["--search", &ada.email]).0, [""; 0]);
    place.run(&["users", "reset-factors", EMAIL]).expect(0);
    assert_eq!(list(&["--search", &ada.email]).0, [EMAIL]);
    running.stop().await;
}

#[tokio::test]
async fn the_list_of_users_without_a_factor_is_paged_embedded() {
    the_list_of_users_without_a_factor_is_paged(Place::new()).await;
}

#[tokio::test]
async fn the_list_of_users_without_a_factor_is_paged_on_servers() {
    let (place, _database) = on_servers().await;
    the_list_of_users_without_a_factor_is_paged(place).await;
}

#[tokio::test]
async fn the_user_gets_a_mail_about_reset_factors_embedded() {
    let mut place = Place::new();
    let running = place.start().await;
    with_totp(&running).await;
    place.run(&["users", "reset-factors", EMAIL]).expect(0);
    eventually("the mail", PATIENCE, async || {
        let mails = running.mails_to(EMAIL).await;
        mails.iter().any(|mail| mail.subject.contains("were removed")).then_some(())
    })
    .await;
    running.stop().await;
}

/// Sends wrong codes until the session has to wait.
async fn fail_until_the_wait(ada: &Person) {
    for _ in 0..10 {
        step_up(ada).await.expect_problem(401, "invalid-credentials");
    }
    step_up(ada).await.expect_problem(429, "rate-limited");
}

async fn step_up(ada: &Person) -> Answer {
    let body = json!({ "method": "totp", "code": "not a code" });
    ada.as_user().post_json("/api/step-up", body).await
}

#[tokio::test]
async fn an_operator_ends_the_wait_after_wrong_codes_embedded() {
    let mut place = Place::new().set("rate_limit.enabled", "true");
    let running = place.start().await;
    let mut ada = with_totp(&running).await;
    fail_until_the_wait(&ada).await;
    let explained = place.run(&["limits", "explain", EMAIL, "--json"]).expect(0);
    let codes = &value(&explained.stdout())["codeBackOff"];
    // The cap does not count the wrong codes of a session that has two factors.
    assert_eq!((&codes["failures"], &codes["waiting"]), (&json!(0), &json!(1)), "{codes}");
    assert!(codes["until"].is_string() && codes["closedUntil"].is_null(), "{codes}");
    let explained = place.run(&["limits", "explain", EMAIL]).expect(0);
    let line = "clients that wait because their own codes were wrong: 1";
    assert!(explained.stdout().contains(line), "{}", explained.stdout());
    place.run(&["limits", "reset", EMAIL]).expect(0);
    let explained = place.run(&["limits", "explain", EMAIL, "--json"]).expect(0);
    assert!(value(&explained.stdout())["codeBackOff"].is_null());
    fail_until_the_wait(&ada).await;
    place.run(&["users", "reset-factors", EMAIL]).expect(0);
    ada.login().await.expect(200);
    add_totp(&mut ada, "Ada's new phone", now()).await;
    step_up(&ada).await.expect_problem(401, "invalid-credentials");
    running.stop().await;
}

#[tokio::test]
async fn an_operator_sees_how_long_a_client_waits_after_wrong_codes_embedded() {
    let mut place = Place::new().set("rate_limit.enabled", "true");
    let running = place.start().await;
    let ada = with_totp(&running).await;
    // A challenge accepts five wrong codes.
    for _ in 0..2 {
        let asked = challenge(&running.client, EMAIL, &ada.password).await;
        for _ in 0..5 {
            let wrong = login_factor(&running.client, &asked, "not a code").await;
            wrong.expect_problem(401, "invalid-credentials");
        }
    }
    let asked = challenge(&running.client, EMAIL, &ada.password).await;
    let refused = login_factor(&running.client, &asked, "not a code").await;
    refused.expect_problem(429, "rate-limited");

    let explain = ["limits", "explain", EMAIL, "--client"];
    let explained = |ip: &str| {
        let text = place.run(&[&explain[..], &[ip]].concat()).expect(0).stdout();
        let found = place.run(&[&explain[..], &[ip, "--json"]].concat()).expect(0).stdout();
        (text, value(&found)["codeClient"].clone())
    };
    let (text, found) = explained("127.0.0.1");
    assert!(text.contains("    passwords: does not have to wait\n"), "{text}");
    assert!(text.contains("    codes: has to wait until "), "{text}");
    assert!(found["totpUntil"].is_string(), "{found}");
    assert_eq!(found["totpUntil"], found["recoveryCodeUntil"]);
    let (text, found) = explained("192.0.2.7");
    assert!(text.contains("    codes: does not have to wait\n"), "{text}");
    assert_eq!(found, json!({ "totpUntil": null, "recoveryCodeUntil": null }));
    let without = place.run(&["limits", "explain", EMAIL, "--json"]).expect(0).stdout();
    assert!(value(&without)["codeClient"].is_null(), "{without}");

    let help = place.run(&["limits", "reset", "--help"]).expect(0).stdout();
    assert!(help.contains("the wrong codes of the second factor"), "{help}");
    place.run(&["limits", "reset", EMAIL]).expect(0);
    let wrong = login_factor(&running.client, &asked, "not a code").await;
    wrong.expect_problem(401, "invalid-credentials");
    running.stop().await;
}

#[tokio::test]
async fn the_key_of_second_factors_cannot_be_retired_embedded() {
    let mut place = Place::new();
    let running = place.start().await;
    with_totp(&running).await;
    let keys = value(&place.run(&["keys", "list", "--json"]).expect(0).stdout());
    let keys = keys.as_array().expect("a list").clone();
    let key = keys.iter().find(|key| key["kind"] == "factor").expect("a key of second factors");
    let kid = key["kid"].as_str().expect("a kid");
    assert!(place.run(&["keys", "list"]).expect(0).stdout().contains("factor"));
    for dry in [&["--dry-run"][..], &[]] {
        let refused = place.run(&[&["keys", "retire", kid], dry].concat()).expect(1);
        assert!(refused.stderr().contains("authenticator apps"), "{}", refused.stderr());
        assert!(refused.stdout().is_empty());
    }
    let after = value(&place.run(&["keys", "list", "--json"]).expect(0).stdout());
    assert_eq!(after.as_array(), Some(&keys));
    running.stop().await;
}

#[tokio::test]
async fn factors_survive_a_start_with_a_wrong_master_key_embedded() {
    let mut place = Place::new();
    let running = place.start().await;
    let mut ada = Person::register(&running.client, EMAIL).await;
    let mail = running.mail_to(EMAIL, 0).await;
    ada.verify(mail.token()).await.expect(200);
    // The code of this step confirms the app, so the login uses the code of the next step.
    let authenticator = add_totp(&mut ada, "Phone", now() - 30_000).await;
    running.stop().await;
    let mut place = place.set("secrets.master_key", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=");
    let checked = place.run(&["doctor"]).expect(3).stdout();
    assert!(checked.contains("1 of the 1 oldest and newest secrets cannot"), "{checked}");
    assert!(
        checked.contains("no authenticator app and no recovery code is accepted any more"),
        "{checked}"
    );
    let running = place.start().await;
    let asked = challenge(&running.client, EMAIL, &ada.password).await;
    let code = authenticator.code_at(now());
    let unread = login_factor(&running.client, &asked, &code).await;
    unread.expect_problem(503, "dependency-unavailable");
    // An app that is added now belongs to the wrong master key.
    let mut eve = Person::register(&running.client, "eve@work.example").await;
    let mail = running.mail_to("eve@work.example", 0).await;
    eve.verify(mail.token()).await.expect(200);
    add_totp(&mut eve, "Phone", now()).await;
    let user = |email: &str| {
        let shown = value(&place.run(&["users", "show", email, "--json"]).expect(0).stdout());
        shown["id"].as_str().expect("an id").to_owned()
    };
    let (old, new) = (user(EMAIL), user("eve@work.example"));
    let checked = place.run(&["doctor"]).expect(3).stdout();
    let line =
        format!("1 of the 2 oldest and newest secrets cannot be decrypted, of the users {old}\n");
    assert!(checked.contains(&line), "{checked}");
    let log = running.stop().await;
    let lost = |kind: &str| {
        let kind = format!("\"kind\":\"{kind}\"");
        let line =
            log.lines().find(|line| line.contains("does not decrypt") && line.contains(&kind));
        line.unwrap_or_else(|| panic!("{log}")).to_owned()
    };
    let line = lost("factor");
    assert!(line.contains("the earlier authenticator apps and recovery codes"), "{line}");
    assert!(!line.contains("tokens"), "this key signs no tokens: {line}");
    assert!(lost("store").contains("the sessions and links"), "{log}");
    assert!(lost("user").contains("the tokens that it signed are invalid"), "{log}");

    let mut place = place.without("LATCHKEY_SECRETS__MASTER_KEY");
    let running = place.start().await;
    let asked = challenge(&running.client, EMAIL, &ada.password).await;
    login_factor(&running.client, &asked, &authenticator.code_at(now())).await.expect(200);
    // The earlier key is used again, so now the newest secret cannot be decrypted.
    let checked = place.run(&["doctor"]).expect(3).stdout();
    let line =
        format!("1 of the 2 oldest and newest secrets cannot be decrypted, of the users {new}\n");
    assert!(checked.contains(&line), "{checked}");
    assert!(checked.contains("latchkey users reset-factors ID"), "{checked}");
    place.run(&["users", "reset-factors", &new]).expect(0);
    let checked = place.run(&["doctor"]).stdout();
    assert!(checked.contains("secrets can be decrypted (1 checked)"), "{checked}");
    running.stop().await;
}
