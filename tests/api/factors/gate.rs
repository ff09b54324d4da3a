//! Tests of the gate of logins: before the second factor there is no session, no token and no known
//! device.

use hyper::Method;
use latchkey::http::router::{Handler, ROUTES, Route, RouteMethod};
use serde_json::json;

use super::callers::{challenge_of, enrolled, proof_is, prove};
use crate::app::both;
use crate::ask::sql;
use crate::client::{Client, claims, encoded};
use crate::limits_attempts::DEVICE;

const ADA: &str = "ada@example.org";

/// Returns the path of a route, with values for its parameters.
fn path_of(route: &Route, value: &str) -> String {
    let parts = route.path.split('{');
    let fill = |part: &str| part.split_once('}').map(|(_, rest)| format!("{value}{rest}"));
    parts.map(|part| fill(part).unwrap_or_else(|| part.to_owned())).collect()
}

async fn ask(client: &Client, route: &Route, value: &str) -> crate::client::Answer {
    let path = path_of(route, value);
    let method = if route.method == RouteMethod::Any { "GET" } else { route.method.name() };
    let method: Method = method.parse().expect("a method");
    if method == Method::POST || method == Method::PATCH {
        return client.json(method, &path, json!({})).await;
    }
    client.bare(method, &path).await
}

both!(a_login_asks_for_the_second_factor_and_opens_nothing, async |app| {
    let user = enrolled(app, ADA).await;
    let answer = app.anonymous().login(ADA, &user.person.password).await;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    assert_eq!(answer.header(DEVICE), None);
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let problem = answer.expect_problem(401, "factor-required").json();
    let mut names: Vec<&str> =
        problem.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "challenge",
        "code",
        "detail",
        "expiresAt",
        "methods",
        "status",
        "title",
        "traceId",
        "type",
    ];
    assert_eq!(names, expected);
    assert_eq!(problem["methods"], json!(["totp", "recovery-code"]));
    let ends = latchkey::clock::rfc3339(app.clock.now() + 300_000);
    assert_eq!(problem["expiresAt"], ends.as_str());
    let sessions = user.person.sessions().await.expect(200).json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(1), "the login opens no session");
    let again = app.anonymous().login(ADA, &user.person.password).await.json();
    assert_ne!(again["challenge"], problem["challenge"]);
    app.no_mail_to(ADA).await;
    // The response names only methods that the account has.
    sql(app, "DELETE FROM recovery_codes").await;
    let answer = app.anonymous().login(ADA, &user.person.password).await;
    assert_eq!(answer.json()["methods"], json!(["totp"]));
});

both!(a_code_completes_the_login, async |app| {
    let user = enrolled(app, ADA).await;
    let challenge = app.anonymous().challenge(&user.person).await;
    let code = user.authenticator.next(app);
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let answer = app.anonymous().prove_totp(&challenge, &spaced).await.expect(200);
    assert!(answer.header(DEVICE).is_some());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut person = user.person.clone();
    person.keep(answer.tokens());
    assert_ne!(person.sid, user.person.sid);
    assert_eq!(person.proof(), proof_is("aal2", "pwd otp mfa"));
    assert_eq!(claims(&person.user_token)["auth_time"], app.clock.now_seconds());
    person.me().await.expect(200);
    // The earlier session is still open.
    user.person.me().await.expect(200);
    // The login is on a device that the account does not know.
    let mail = app.mail_to(ADA).await;
    assert!(mail.subject.starts_with("A new login"), "{}", mail.subject);
    let device = answer.header(DEVICE).expect("a device");
    let challenge = challenge_of(&app.anonymous().header(DEVICE, device), &person).await;
    // The second step needs no header, and it returns the same device.
    let code = user.authenticator.next(app);
    let again = app.anonymous().prove_totp(&challenge, &code).await.expect(200);
    let id = |token: &str| token[..20].to_owned();
    assert_eq!(again.header(DEVICE).map(id), Some(id(device)));
    app.no_mail_to(ADA).await;
});

both!(a_challenge_is_no_token_on_any_route, async |app| {
    let user = enrolled(app, ADA).await;
    let challenge = app.anonymous().challenge(&user.person).await;
    let anonymous = app.anonymous().0;
    let client = anonymous.bearer(&challenge);
    let mut asked = 0;
    for route in ROUTES {
        let name = format!("{} {}", route.method.name(), route.path);
        let answer = ask(&client, route, "x").await;
        asked += 1;
        assert_eq!(answer.header(DEVICE), None, "{name}");
        match route.handler {
            Handler::User(_) | Handler::Verified(_) | Handler::Team(..) => {
                let header = "Bearer realm=\"latchkey\", error=\"invalid_token\"";
                assert_eq!(answer.header("www-authenticate"), Some(header), "{name}");
                answer.expect_problem(401, "invalid-token");
            }
            _ if route.path.starts_with("/api/forward-auth")
                || matches!(route.path, "/api/refresh" | "/api/logout") =>
            {
                answer.expect(401);
            }
            // On an open route, a challenge is worth as much as no token at all.
            _ => assert_eq!(answer.status, ask(&anonymous, route, "x").await.status, "{name}"),
        }
        // A challenge is also no object and no mailed token.
        if route.path.contains('{') && !route.path.starts_with("/api/forward-auth") {
            let answer = ask(&anonymous, route, &encoded(&challenge)).await;
            assert!(answer.status >= 400, "{name}: {}", answer.text());
        }
    }
    assert!(asked > 60, "{asked}");
    let reset = app.anonymous().reset(&challenge, "a quite new password").await;
    reset.expect_problem(400, "token-invalid");
    let revoked = anonymous.post_form("/api/revoke", &[("token", &challenge)]).await;
    revoked.expect(200);
    // After all this the challenge is still good for the second step.
    let code = user.authenticator.next(app);
    app.anonymous().prove_totp(&challenge, &code).await.expect(200);
    app.mail_to(ADA).await;
});

both!(a_token_is_no_challenge, async |app| {
    let user = enrolled(app, ADA).await;
    let code = user.authenticator.next(app);
    for text in
        [&user.person.user_token, &user.person.vault_token, "", "lkc_", "x", &"y".repeat(9_000)]
    {
        let answer = app.anonymous().prove_totp(text, &code).await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
        answer.expect_problem(401, "challenge-invalid");
    }
});

both!(the_challenge_of_one_account_takes_no_code_of_another, async |app| {
    let ada = enrolled(app, ADA).await;
    let bob = enrolled(app, "bob@example.org").await;
    let challenge = app.anonymous().challenge(&ada.person).await;
    let foreign = bob.authenticator.next(app);
    if foreign != ada.authenticator.code_at(app, 0) {
        let answer = app.anonymous().prove_totp(&challenge, &foreign).await;
        answer.expect_problem(401, "invalid-credentials");
    }
    let answer = app.anonymous().prove_recovery(&challenge, &bob.recovery_codes[0]).await;
    answer.expect_problem(401, "invalid-credentials");
    let challenge = app.anonymous().challenge(&bob.person).await;
    let answer = app.anonymous().prove_recovery(&challenge, &bob.recovery_codes[0]).await;
    assert_eq!(claims(&answer.expect(200).tokens().user)["email"], "bob@example.org");
});

both!(a_wrong_password_tells_nothing_of_factors, async |app| {
    let user = enrolled(app, ADA).await;
    app.verified("bob@example.org").await;
    let anonymous = app.anonymous();
    let of_factors = anonymous.login(&user.person.email, "not the password").await;
    for email in ["bob@example.org", "nobody@example.org"] {
        let other = anonymous.login(email, "not the password").await;
        assert_eq!(crate::ask::alike(&other), crate::ask::alike(&of_factors), "{email}");
    }
    // `forgot` and `exist-email` say nothing of factors either.
    let of_factors = anonymous.forgot(&user.person.email).await;
    let other = anonymous.forgot("nobody@example.org").await;
    assert_eq!(crate::ask::alike(&other), crate::ask::alike(&of_factors));
    app.mail_to(ADA).await;
});

both!(a_disabled_account_gets_no_challenge, async |app| {
    let user = enrolled(app, ADA).await;
    sql(app, "UPDATE users SET status = 'disabled'").await;
    let answer = app.anonymous().login(ADA, &user.person.password).await;
    answer.expect_problem(403, "account-disabled");
});

both!(members_that_break_a_rule_are_a_422_and_count_nothing, async |app| {
    let user = enrolled(app, ADA).await;
    let challenge = app.anonymous().challenge(&user.person).await;
    let client = app.anonymous();
    let bodies = [
        (json!({}), "/challenge"),
        (json!({ "method": "totp", "code": "123456" }), "/challenge"),
        (json!({ "challenge": 1, "method": "totp", "code": "123456" }), "/challenge"),
        (json!({ "challenge": challenge, "code": "123456" }), "/method"),
        (json!({ "challenge": challenge, "method": "sms", "code": "123456" }), "/method"),
        (json!({ "challenge": challenge, "method": "password", "code": "123456" }), "/method"),
        (json!({ "challenge": challenge, "method": 1, "code": "123456" }), "/method"),
        (json!({ "challenge": challenge, "method": "totp" }), "/code"),
        (json!({ "challenge": challenge, "method": "totp", "code": 123_456 }), "/code"),
        (
            json!({ "challenge": challenge, "method": "totp", "code": "1", "trustDevice": "yes" }),
            "/trustDevice",
        ),
        (
            json!({ "challenge": challenge, "method": "recovery-code", "code": "1", "trustDevice": true }),
            "/trustDevice",
        ),
    ];
    for (body, pointer) in bodies {
        let answer = client.post_json("/api/login/factor", body.clone()).await;
        assert_eq!(crate::ask::broken_rules(&answer)[0].0, pointer, "{body}");
    }
    // None of these requests was a wrong proof.
    for _ in 0..4 {
        prove(&client, &challenge, "totp", "no code")
            .await
            .expect_problem(401, "invalid-credentials");
    }
    prove(&client, &challenge, "totp", &user.authenticator.next(app)).await.expect(200);
});
