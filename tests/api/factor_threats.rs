//! Tests of second factors that THREATS.md names, and of their metrics.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use totp_rs::Builder;

use crate::answer::Answer;
use crate::app::{TestApp, both};
use crate::client::{Client, Person, claims};
use crate::telemetry::registry::sum;

/// A user with an authenticator app. The session of the user has the level `aal2`.
struct WithApp {
    person: Person,
    /// The id of the factor.
    id: String,
    secret: String,
    recovery_codes: Vec<String>,
}

/// A metric, labels of its series, and the sum of these series.
type Counted = (&'static str, &'static [(&'static str, &'static str)], f64);

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

impl WithApp {
    async fn new(app: &TestApp) -> Self {
        let mut person = app.verified("ada@example.org").await;
        person.login().await.expect(200);
        let path = "/api/me/factors/totp";
        let added = person.as_user().post_json(path, json!({ "name": "phone" })).await;
        let added = added.expect(201).json();
        let (id, secret) = (text(&added["id"]), text(&added["secret"]));
        let path = format!("/api/me/factors/{id}/confirm");
        let wrong = person.as_user().post_json(&path, json!({ "code": "no code" })).await;
        wrong.expect_problem(422, "validation-failed");
        let code = code(app, &secret);
        let confirmed = person.as_user().post_json(&path, json!({ "code": code })).await;
        let confirmed = confirmed.expect(200);
        let codes = confirmed.json()["recoveryCodes"].clone();
        person.keep(confirmed.tokens());
        let recovery_codes = codes.as_array().expect("codes").iter().map(text).collect();
        Self { person, id, secret, recovery_codes }
    }

    /// Logs in by password and returns the challenge.
    async fn challenge(&self) -> String {
        let answer = self.person.anonymous().login(&self.person.email, &self.person.password).await;
        let problem = answer.expect_problem(401, "factor-required");
        assert_eq!(problem.header("x-latchkey-device"), None);
        text(&problem.json()["challenge"])
    }

    /// Sends a proof to `POST /api/login/factor`.
    async fn prove(&self, challenge: &str, method: &str, code: &str) -> Answer {
        let body = json!({ "challenge": challenge, "method": method, "code": code });
        self.person.anonymous().0.post_json("/api/login/factor", body).await
    }
}

/// Returns the code of an authenticator app at the time of the daemon's clock.
fn code(app: &TestApp, secret: &str) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).expect("base32").as_bytes().to_vec();
    let totp = Builder::new().with_secret(secret).build_noncompliant();
    let seconds = app.inside().clock.now() / 1000;
    totp.generate(u64::try_from(seconds).expect("after 1970")).to_string()
}

/// Lets the authenticator app show its next code.
fn next_code(app: &TestApp, secret: &str) -> String {
    app.clock.advance(Duration::from_secs(30));
    code(app, secret)
}

both!(a_challenge_opens_nothing_before_the_second_factor, async |app| {
    let ada = WithApp::new(app).await;
    let challenge = ada.challenge().await;
    let holder: Client = app.anonymous().0.bearer(&challenge);
    for path in ["/api/me", "/api/refresh", "/api/sessions", "/api/me/factors"] {
        holder.get(path).await.expect_problem(401, "invalid-token");
    }
    let open = ada.person.sessions().await.expect(200).json();
    assert_eq!(open["items"].as_array().map(Vec::len), Some(1), "{open}");
    let answer = ada.prove(&challenge, "totp", &next_code(app, &ada.secret)).await.expect(200);
    let claims = claims(&answer.tokens().vault);
    assert_eq!((&claims["acr"], &claims["amr"]), (&json!("aal2"), &json!(["pwd", "otp", "mfa"])));
});

both!(a_code_opens_one_session, async |app| {
    let ada = WithApp::new(app).await;
    let (first, second) = (ada.challenge().await, ada.challenge().await);
    let used = next_code(app, &ada.secret);
    ada.prove(&first, "totp", &used).await.expect(200);
    ada.prove(&second, "totp", &used).await.expect_problem(401, "invalid-credentials");
    let recovery = &ada.recovery_codes[0];
    ada.prove(&second, "recovery-code", recovery).await.expect(200);
    let third = ada.challenge().await;
    ada.prove(&third, "recovery-code", recovery).await.expect_problem(401, "invalid-credentials");
});

both!(five_wrong_codes_end_a_challenge, async |app| {
    let ada = WithApp::new(app).await;
    let challenge = ada.challenge().await;
    for _ in 0..5 {
        let answer = ada.prove(&challenge, "totp", "no code").await;
        answer.expect_problem(401, "invalid-credentials");
    }
    let right = next_code(app, &ada.secret);
    ada.prove(&challenge, "totp", &right).await.expect_problem(401, "challenge-invalid");
});

both!(an_old_second_factor_changes_no_factor, async |app| {
    let ada = WithApp::new(app).await;
    app.clock.advance(Duration::from_mins(16));
    let mut person = ada.person.clone();
    person.refresh().await.expect(200);
    let client = person.as_user();
    let path = format!("/api/me/factors/{}", ada.id);
    client.delete(&path).await.expect_problem(401, "step-up-required");
    let codes = client.bare(Method::POST, "/api/me/recovery-codes").await;
    codes.expect_problem(401, "step-up-required");
    let proof = json!({ "method": "password", "password": person.password });
    client.post_json("/api/step-up", proof).await.expect(200);
    client.delete(&path).await.expect_problem(401, "step-up-required");
    let proof = json!({ "method": "totp", "code": code(app, &ada.secret) });
    client.post_json("/api/step-up", proof).await.expect(200);
    client.delete(&path).await.expect(204);
});

both!(logins_codes_and_changes_of_factors_are_counted, async |app| {
    let ada = WithApp::new(app).await;
    let challenge = ada.challenge().await;
    ada.prove(&challenge, "recovery-code", "no code").await.expect(401);
    ada.prove(&challenge, "totp", &next_code(app, &ada.secret)).await.expect(200);
    ada.prove(&challenge, "totp", "no code").await.expect_problem(401, "challenge-invalid");
    let proof = json!({ "method": "totp", "code": "no code" });
    ada.person.as_user().post_json("/api/step-up", proof).await.expect(401);
    ada.person.as_user().delete(&format!("/api/me/factors/{}", ada.id)).await.expect(204);
    let metrics = app.admin().get("/metrics").await.expect(200).text();
    let count = |name: &str, labels: &[(&str, &str)]| sum(&metrics, name, labels);
    let expected: [Counted; 12] = [
        // The registration and the second login. The mailed link opened a session too.
        ("latchkey_sessions_opened_total", &[("method", "password"), ("level", "aal1")], 2.0),
        ("latchkey_sessions_opened_total", &[("method", "email"), ("level", "aal1")], 1.0),
        ("latchkey_sessions_opened_total", &[("method", "password"), ("level", "aal2")], 1.0),
        ("latchkey_logins_total", &[("outcome", "factor-required")], 1.0),
        ("latchkey_login_challenges_total", &[("outcome", "issued")], 1.0),
        ("latchkey_login_challenges_total", &[("outcome", "completed")], 1.0),
        ("latchkey_login_challenges_total", &[("outcome", "wrong_code")], 1.0),
        ("latchkey_login_challenges_total", &[("outcome", "ended")], 1.0),
        ("latchkey_factor_changes_total", &[("kind", "totp"), ("change", "added")], 1.0),
        ("latchkey_factor_changes_total", &[("kind", "totp"), ("change", "removed")], 1.0),
        ("latchkey_factor_wrong_codes_total", &[("method", "totp")], 2.0),
        ("latchkey_factor_wrong_codes_total", &[("stage", "login")], 1.0),
    ];
    for (name, labels, number) in expected {
        let found = count(name, labels);
        assert!((found - number).abs() < f64::EPSILON, "{name} {labels:?}: {found}");
    }
});
