//! Tests of `POST /api/register`. They also check which clients are allowed to register.

use serde_json::json;

use crate::app::{PUBLIC_URL, TestApp, both};
use crate::ask::{at_once, broken_rules, one_succeeds};
use crate::client::claims;

const PASSWORD: &str = "correct horse battery";

both!(registering_gives_tokens_and_mails_a_link, async |app| {
    let answer = app.anonymous().register("Ada@Example.org", PASSWORD, "  Ada  ").await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json().as_object().expect("an object").len(), 2);
    let claims = claims(&answer.tokens().user);
    assert_eq!(claims["email"], "Ada@Example.org");
    assert_eq!(claims["name"], "Ada");
    assert_eq!(claims["email_verified"], false);
    let mail = app.mail_to("Ada@Example.org").await;
    let link = format!("{PUBLIC_URL}/verify-email?token={}", mail.token());
    assert!(mail.text.lines().any(|line| line == link), "{}", mail.text);
    assert_eq!(mail.token().len(), 43);
    app.no_mail_to("Ada@Example.org").await;
});

both!(an_address_registers_once_however_it_is_written, async |app| {
    let anonymous = app.anonymous();
    anonymous.register("ada@bücher.example", PASSWORD, "Ada").await.expect(200);
    for same in ["ADA@bücher.example", "ada@BÜCHER.example", "Ada@xn--bcher-kva.EXAMPLE"] {
        anonymous
            .register(same, "another password", "Eve")
            .await
            .expect_problem(409, "email-taken");
    }
    anonymous.register("ada@buecher.example", PASSWORD, "Ada").await.expect(200);
});

both!(of_twelve_registrations_of_one_address_one_succeeds, async |app| {
    let answers = at_once(12, async |turn| {
        let mut email = b"abcdefghijkl@example.org".to_vec();
        email[turn].make_ascii_uppercase();
        let email = String::from_utf8(email).expect("ASCII");
        app.anonymous().register(&email, PASSWORD, "Ada").await
    })
    .await;
    let made = one_succeeds(answers, 409, "email-taken").tokens();
    let email = claims(&made.user)["email"].as_str().expect("a text").to_owned();
    app.mail_to(&email).await;
    app.no_mail_to(&email).await;
    app.anonymous().bearer(&made.user).get("/api/me").await.expect(200);
});

both!(every_missing_member_is_named_at_once, async |app| {
    let answer = app.anonymous().post_json("/api/register", json!({})).await;
    let mut broken = broken_rules(&answer);
    broken.sort();
    let required = |name: &str| (format!("/{name}"), "required".to_owned());
    assert_eq!(broken, [required("email"), required("name"), required("password")]);
    let body = json!({ "email": 1, "password": ["x"], "name": null });
    let answer = app.anonymous().post_json("/api/register", body).await;
    let broken = broken_rules(&answer);
    assert_eq!(broken.len(), 3);
    assert!(broken.iter().all(|(_, code)| code == "type"), "{broken:?}");
});

both!(what_is_not_asked_for_is_never_bound, async |app| {
    let body = json!({
        "email": "ada@example.org", "password": PASSWORD, "name": "Ada",
        "emailVerified": true, "email_verified": true, "verifiedAt": 1, "role": "owner", "status": "disabled",
        "id": "00000000-0000-7000-8000-000000000000", "team": { "id": "x" },
    });
    let tokens = app.anonymous().post_json("/api/register", body).await.tokens();
    let me = app.anonymous().bearer(&tokens.user).get("/api/me").await.expect(200).json();
    assert_eq!(me["emailVerified"], false);
    assert_eq!(me["team"], json!(null));
    assert_ne!(me["id"], "00000000-0000-7000-8000-000000000000");
});

both!(a_refused_registration_leaves_nothing, async |app| {
    let anonymous = app.anonymous();
    let answer = anonymous.register("ada@example.org", "short", "Ada").await;
    assert_eq!(broken_rules(&answer), [("/password".to_owned(), "too-short".to_owned())]);
    anonymous.login("ada@example.org", "short").await.expect_problem(401, "invalid-credentials");
    assert_eq!(anonymous.exists("ada@example.org").await.expect(200).json(), json!(false));
    app.no_mail_to("ada@example.org").await;
});

async fn nobody_registers(app: &TestApp, email: &str) {
    app.anonymous().register(email, PASSWORD, "Ada").await.expect_problem(403, "forbidden");
    app.no_mail_to(email).await;
    assert_eq!(app.anonymous().exists(email).await.expect(200).json(), json!(false));
}

both!(a_closed_registration_refuses_everybody, ["registration.mode" = "closed"], async |app| {
    nobody_registers(app, "ada@example.org").await;
});

both!(
    a_registration_by_invitation_refuses_strangers,
    ["registration.mode" = "invite"],
    async |app| {
        nobody_registers(app, "ada@example.org").await;
    }
);

both!(
    a_registration_by_domain_takes_these_domains_alone,
    ["registration.mode" = "domains", "registration.domains" = "example.org,bücher.example"],
    async |app| {
        let anonymous = app.anonymous();
        anonymous.register("ada@EXAMPLE.org", PASSWORD, "Ada").await.expect(200);
        anonymous.register("ada@xn--bcher-kva.example", PASSWORD, "Ada").await.expect(200);
        for other in ["ada@example.com", "ada@sub.example.org", "ada@notexample.org"] {
            nobody_registers(app, other).await;
        }
    }
);

both!(an_unverified_account_is_collected_after_its_time, async |app| {
    let person = app.register("ada@example.org").await;
    let kept = app.verified("eve@example.org").await;
    app.clock.advance(std::time::Duration::from_hours(73));
    let before = app.clock.now() - 72 * 3_600_000;
    app.inside().accounts.collect_unverified(before);
    let gone = async || {
        let exists = app.anonymous().exists(&person.email).await.json();
        (exists == json!(false)).then_some(())
    };
    let within = std::time::Duration::from_secs(10);
    crate::poll::eventually("the collection", within, gone).await;
    assert_eq!(app.anonymous().exists(&kept.email).await.json(), json!(true));
    person.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
    app.register("ada@example.org").await;
});
