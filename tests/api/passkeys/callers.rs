//! The requests about passkeys, and a user with a passkey.
#![allow(dead_code, reason = "a harness offers more than one state of the tests uses")]

use hyper::Method;
use serde_json::{Value, json};

use super::authenticator::{Draft, Key, Passkey};
use crate::app::TestApp;
use crate::client::{Answer, Client, Person, Tokens};
use crate::factors::texts;

/// A user with a passkey. The session is at `aal2`.
pub struct Holder {
    pub person: Person,
    pub passkey: Passkey,
    /// The id of the factor.
    pub id: String,
    pub recovery_codes: Vec<String>,
}

/// A change that a test makes to a response.
pub type Change = fn(&mut Draft);

/// The response as it is.
pub fn as_is(_: &mut Draft) {}

/// Creates a user with a confirmed address and a passkey, and reads the mail about it.
pub async fn holder(app: &TestApp, email: &str) -> Holder {
    holder_of(app, email, Key::es256()).await
}

pub async fn holder_of(app: &TestApp, email: &str, key: Key) -> Holder {
    let mut person = app.verified(email).await;
    person.login().await.expect(200);
    let mut passkey = Passkey::new(key);
    let added = person.add_passkey(&mut passkey, as_is).await.expect(201).json();
    app.mail_to(email).await;
    let id = added["factor"]["id"].as_str().expect("an id").to_owned();
    Holder { person, passkey, id, recovery_codes: texts(&added["recoveryCodes"]) }
}

/// Sends `POST /api/login/passkey/options`.
pub async fn login_options(client: &Client, body: Value) -> Answer {
    client.post_json("/api/login/passkey/options", body).await
}

/// Logs in with a passkey, without a password.
pub async fn log_in(client: &Client, passkey: &Passkey, change: impl FnOnce(&mut Draft)) -> Answer {
    let options = login_options(client, json!({})).await.expect(200).json();
    let credential = passkey.get(&options["publicKey"], change);
    send_login(client, &options["challenge"], &credential).await
}

/// Sends `POST /api/login/passkey`.
pub async fn send_login(client: &Client, challenge: &Value, credential: &Value) -> Answer {
    let body = json!({ "challenge": challenge, "credential": credential });
    client.post_json("/api/login/passkey", body).await
}

/// Completes a login by password with a passkey.
pub async fn prove(
    client: &Client,
    challenge: &str,
    passkey: &Passkey,
    change: impl FnOnce(&mut Draft),
) -> Answer {
    let options = login_options(client, json!({ "challenge": challenge })).await.expect(200).json();
    let credential = passkey.get(&options["publicKey"], change);
    send_factor(client, challenge, &credential).await
}

/// Sends `POST /api/login/factor` with a passkey.
pub async fn send_factor(client: &Client, challenge: &str, credential: &Value) -> Answer {
    let body = json!({ "challenge": challenge, "method": "passkey", "credential": credential });
    client.post_json("/api/login/factor", body).await
}

impl Person {
    /// Sends `POST /api/me/passkeys/options`.
    pub async fn passkey_options(&self) -> Answer {
        self.as_user().bare(Method::POST, "/api/me/passkeys/options").await
    }

    /// Sends `POST /api/me/passkeys`, and stores the new tokens on success.
    pub async fn send_passkey(&mut self, challenge: &Value, credential: &Value) -> Answer {
        let body = json!({ "challenge": challenge, "name": "Laptop", "credential": credential });
        let answer = self.as_user().post_json("/api/me/passkeys", body).await;
        if answer.status == 201 {
            let token = |name: &str| answer.json()[name].as_str().expect("a token").to_owned();
            self.keep(Tokens { user: token("userToken"), vault: token("vaultToken") });
        }
        answer
    }

    /// Adds a passkey.
    pub async fn add_passkey(
        &mut self,
        passkey: &mut Passkey,
        change: impl FnOnce(&mut Draft),
    ) -> Answer {
        let options = self.passkey_options().await.expect(200).json();
        let credential = passkey.create(&options["publicKey"], change);
        self.send_passkey(&options["challenge"], &credential).await
    }

    /// Sends `POST /api/step-up/options`.
    pub async fn step_up_options(&self) -> Answer {
        self.as_user().bare(Method::POST, "/api/step-up/options").await
    }

    /// Sends `POST /api/step-up` with a passkey.
    pub async fn send_step_up(&mut self, challenge: &Value, credential: &Value) -> Answer {
        let body = json!({ "method": "passkey", "challenge": challenge, "credential": credential });
        self.step_up(body).await
    }

    /// Steps up with a passkey.
    pub async fn step_up_passkey(
        &mut self,
        passkey: &Passkey,
        change: impl FnOnce(&mut Draft),
    ) -> Answer {
        let options = self.step_up_options().await.expect(200).json();
        let credential = passkey.get(&options["publicKey"], change);
        self.send_step_up(&options["challenge"], &credential).await
    }
}
