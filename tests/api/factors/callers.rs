//! The requests about second factors, and a user with an authenticator app.
#![allow(dead_code, reason = "a harness offers more than one state of the tests uses")]

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use totp_rs::Builder;

use crate::app::TestApp;
use crate::client::{Anonymous, Answer, Client, Person, claims};

/// The length of a time step of TOTP.
pub const STEP: Duration = Duration::from_secs(30);

/// An authenticator app with the secret of one account.
#[derive(Clone, Debug)]
pub struct Authenticator {
    /// The secret in base32.
    pub secret: String,
}

impl Authenticator {
    /// Returns the code of the step that is `steps` after the current step of the daemon's clock.
    pub fn code_at(&self, app: &TestApp, steps: i64) -> String {
        let now = app.clock.now_seconds() + 30 * steps;
        let secret = totp_rs::Secret::try_from_base32(&self.secret).expect("base32");
        let totp = Builder::new().with_secret(secret).build_noncompliant();
        totp.generate(u64::try_from(now).expect("after 1970")).to_string()
    }

    /// Advances the clock by one step, so that no code of the new step was used before. Returns the
    /// code of the new step.
    pub fn next(&self, app: &TestApp) -> String {
        app.clock.advance(STEP);
        self.code_at(app, 0)
    }

    /// Returns a code that is wrong now, and in the steps beside the current one.
    pub fn wrong(&self, app: &TestApp) -> String {
        let right: Vec<String> = (-2..=2).map(|steps| self.code_at(app, steps)).collect();
        let mut codes = ["000000", "111111", "222222", "333333", "444444", "555555"].into_iter();
        let wrong = codes.find(|code| !right.iter().any(|it| it == code));
        wrong.expect("five codes are right at most").to_owned()
    }
}

/// A user with an authenticator app. The session is at `aal2`.
#[derive(Clone, Debug)]
pub struct Enrolled {
    pub person: Person,
    pub authenticator: Authenticator,
    /// The id of the factor.
    pub id: String,
    pub recovery_codes: Vec<String>,
}

/// Creates a user with a confirmed address and an authenticator app, and reads the mail about it.
pub async fn enrolled(app: &TestApp, email: &str) -> Enrolled {
    let mut person = app.verified(email).await;
    person.login().await.expect(200);
    let user = enrol(app, person).await;
    app.mail_to(email).await;
    user
}

/// Adds an authenticator app to an account, in the session of this user.
pub async fn enrol(app: &TestApp, mut person: Person) -> Enrolled {
    let (id, authenticator) = person.begin_totp("Phone").await;
    let confirmed = person.confirm(&id, &authenticator.next(app)).await.expect(200).json();
    let recovery_codes = texts(&confirmed["recoveryCodes"]);
    Enrolled { person, authenticator, id, recovery_codes }
}

/// The texts of a JSON array. Empty if the value is no array.
pub fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.map(|it| it.as_str().expect("a text").to_owned()).collect()
}

/// Logs in with the password on this client, and returns the challenge of the response.
pub async fn challenge_of(client: &Client, person: &Person) -> String {
    let body = json!({ "email": person.email, "password": person.password });
    let answer = client.post_json("/api/login", body).await;
    let answer = answer.expect_problem(401, "factor-required");
    answer.json()["challenge"].as_str().expect("a challenge").to_owned()
}

/// Logs in with the password and the next code of the authenticator app.
pub async fn log_in(app: &TestApp, client: &Client, user: &Enrolled) -> Answer {
    let challenge = challenge_of(client, &user.person).await;
    prove(client, &challenge, "totp", &user.authenticator.next(app)).await
}

/// Sends `POST /api/login/factor`.
pub async fn prove(client: &Client, challenge: &str, method: &str, code: &str) -> Answer {
    let body = json!({ "challenge": challenge, "method": method, "code": code });
    client.post_json("/api/login/factor", body).await
}

/// The status, the title, the detail and the challenge of a problem.
pub fn problem_of(answer: &Answer) -> (u16, String, String, Option<String>) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let challenge = answer.header("www-authenticate").map(str::to_owned);
    (answer.status, text("title"), text("detail"), challenge)
}

/// Checks that a response says that a code is wrong, and says nothing more.
#[track_caller]
pub fn is_wrong(answer: Answer) {
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    assert_eq!(answer.header("x-latchkey-device"), None);
    answer.expect_problem(401, "invalid-credentials");
}

/// A recovery code in the right form that is none of these.
pub fn other_code(codes: &[String]) -> String {
    let all = ["00000-00000", "11111-11111"];
    all.into_iter().find(|it| !codes.iter().any(|code| code == it)).expect("one").to_owned()
}

impl Anonymous {
    /// Logs in with the password, and returns the challenge of the response.
    pub async fn challenge(&self, person: &Person) -> String {
        challenge_of(&self.0, person).await
    }

    /// Sends `POST /api/login/factor` with a TOTP code.
    pub async fn prove_totp(&self, challenge: &str, code: &str) -> Answer {
        prove(&self.0, challenge, "totp", code).await
    }

    /// Sends `POST /api/login/factor` with a recovery code.
    pub async fn prove_recovery(&self, challenge: &str, code: &str) -> Answer {
        prove(&self.0, challenge, "recovery-code", code).await
    }
}

impl Person {
    /// Sends `POST /api/me/factors/totp`.
    pub async fn add_totp(&self, name: &str) -> Answer {
        self.as_user().post_json("/api/me/factors/totp", json!({ "name": name })).await
    }

    /// Begins to add an authenticator app. Returns the id of the factor, and the app.
    pub async fn begin_totp(&self, name: &str) -> (String, Authenticator) {
        let begun = self.add_totp(name).await.expect(201).json();
        let text = |member: &str| begun[member].as_str().expect("a text").to_owned();
        (text("id"), Authenticator { secret: text("secret") })
    }

    /// Sends `POST /api/me/factors/{id}/confirm` and stores the new tokens on success.
    pub async fn confirm(&mut self, id: &str, code: &str) -> Answer {
        let path = format!("/api/me/factors/{id}/confirm");
        let answer = self.as_user().post_json(&path, json!({ "code": code })).await;
        if answer.status == 200 {
            self.keep(answer.tokens());
        }
        answer
    }

    /// Sends `GET /api/me/factors`.
    pub async fn factors(&self) -> Answer {
        self.as_user().get("/api/me/factors").await
    }

    /// Sends `PATCH /api/me/factors/{id}`.
    pub async fn rename_factor(&self, id: &str, name: &str) -> Answer {
        let path = format!("/api/me/factors/{id}");
        self.as_user().json(Method::PATCH, &path, json!({ "name": name })).await
    }

    /// Sends `DELETE /api/me/factors/{id}`.
    pub async fn remove_factor(&self, id: &str) -> Answer {
        self.as_user().delete(&format!("/api/me/factors/{id}")).await
    }

    /// Sends `POST /api/me/recovery-codes`.
    pub async fn new_recovery_codes(&self) -> Answer {
        self.as_user().bare(Method::POST, "/api/me/recovery-codes").await
    }

    /// Sends `POST /api/step-up` with this body, and stores the new tokens on success.
    pub async fn step_up(&mut self, body: Value) -> Answer {
        let answer = self.as_user().post_json("/api/step-up", body).await;
        if answer.status == 200 {
            self.keep(answer.tokens());
        }
        answer
    }

    /// Sends `POST /api/step-up` with a TOTP code.
    pub async fn step_up_totp(&mut self, code: &str) -> Answer {
        self.step_up(json!({ "method": "totp", "code": code })).await
    }

    /// Sends `POST /api/step-up` with the password.
    pub async fn step_up_password(&mut self) -> Answer {
        let body = json!({ "method": "password", "password": self.password });
        self.step_up(body).await
    }

    /// Returns `acr` and the words of `amr` in the userToken. They must be the same in the
    /// vaultToken.
    #[track_caller]
    pub fn proof(&self) -> (String, String) {
        let of = |token: &str| {
            let claims = claims(token);
            let acr = claims["acr"].as_str().expect("an acr").to_owned();
            assert!(claims["auth_time"].is_i64());
            (acr, texts(&claims["amr"]).join(" "), claims["auth_time"].clone())
        };
        let (user, vault) = (of(&self.user_token), of(&self.vault_token));
        assert_eq!(user, vault);
        (user.0, user.1)
    }
}

/// The value of [`Person::proof`].
pub fn proof_is(acr: &str, amr: &str) -> (String, String) {
    (acr.to_owned(), amr.to_owned())
}
