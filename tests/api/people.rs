//! Helpers for the tests of tenancy: users in teams, invitations and project keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use latchkey::database::tenant_scope::{self, TenantScope};
use latchkey::secret::uuid_v7;
use latchkey_entity::membership;
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait as _;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::client::{Answer, Client, Person, claims};

/// Returns a claim of the vaultToken as text.
#[track_caller]
pub fn claim(person: &Person, name: &str) -> String {
    claims(&person.vault_token)[name].as_str().unwrap_or_default().to_owned()
}

/// Returns the `sub` of a user.
pub fn id_of(person: &Person) -> String {
    claims(&person.user_token)["sub"].as_str().expect("a userToken has a subject").to_owned()
}

/// Registers users with a confirmed email address, all at the same time.
pub async fn people<const N: usize>(app: &TestApp, names: [&str; N]) -> [Person; N] {
    let made = names.map(|name| async move { app.verified(&format!("{name}@example.org")).await });
    let made: Vec<Person> = join_all(made).await;
    made.try_into().expect("as many as names")
}

/// Makes a user a member of a team, as if the user had accepted an invitation.
pub async fn join(app: &TestApp, team: &str, person: &Person, role: &str) {
    let inside = app.inside();
    let now = inside.clock.now();
    let row = membership::ActiveModel {
        id: Set(uuid_v7(now)),
        team_id: Set(team.parse().expect("an id")),
        user_id: Set(id_of(person).parse().expect("an id")),
        role: Set(role.to_owned()),
        epoch: Set(0),
        created_at: Set(now),
        last_used_at: Set(0),
        last_project_id: Set(None),
    };
    let tx = tenant_scope::begin(&inside.db, TenantScope::Operator).await.expect("a transaction");
    membership::Entity::insert(row).exec_without_returning(&tx).await.expect("joined");
    tx.commit().await.expect("committed");
}

/// The id and the secret of a project key, which the user who created the key stores.
#[derive(Clone, Debug)]
pub struct ProjectKey {
    pub id: String,
    pub secret: String,
}

impl ProjectKey {
    /// Returns a client that sends the id and the secret by HTTP Basic.
    pub fn client(&self, app: &TestApp) -> Client {
        let basic = STANDARD.encode(format!("{}:{}", self.id, self.secret));
        app.anonymous().header("authorization", &format!("Basic {basic}"))
    }

    /// Sends `POST /api/token` with these fields and the grant type.
    pub async fn ask(&self, app: &TestApp, fields: &[(&str, &str)]) -> Answer {
        let fields = [&[("grant_type", "client_credentials")], fields].concat();
        self.client(app).post_form("/api/token", &fields).await
    }

    /// Returns a vaultToken with all scopes of the key.
    pub async fn token(&self, app: &TestApp) -> String {
        let answer = self.ask(app, &[]).await.expect(200).json();
        answer["access_token"].as_str().expect("a token").to_owned()
    }
}

impl Person {
    /// Returns the path of the keys of the user's current team and project.
    pub fn keys(&self) -> String {
        format!("/api/teams/{}/projects/{}/keys", claim(self, "tid"), claim(self, "pid"))
    }

    /// Creates a key in the user's current team and project.
    pub async fn make_key(&self, scopes: &[&str]) -> ProjectKey {
        self.make_key_in(&claim(self, "pid"), scopes).await
    }

    /// Creates a key in another project of the team.
    pub async fn make_key_in(&self, project: &str, scopes: &[&str]) -> ProjectKey {
        let path = format!("/api/teams/{}/projects/{project}/keys", claim(self, "tid"));
        let body = json!({ "name": "a program", "scopes": scopes });
        let made = self.as_user().post_json(&path, body).await.expect(200).json();
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        ProjectKey { id: text("id"), secret: text("secret") }
    }

    /// Sends `POST /api/teams`.
    pub async fn make_team(&self, name: &str) -> Value {
        self.as_user().post_json("/api/teams", json!({ "name": name })).await.expect(200).json()
    }

    /// Sends `POST /api/teams/{tid}/invitations`.
    pub async fn invite(&self, team: &str, email: &str, role: &str) -> Answer {
        let body = json!({ "email": email, "role": role });
        self.as_user().post_json(&format!("/api/teams/{team}/invitations"), body).await
    }

    /// Sends an invitation and returns its id.
    pub async fn invited(&self, team: &str, email: &str, role: &str) -> String {
        let made = self.invite(team, email, role).await.expect(200).json();
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Sends `POST /api/invitations/accept`.
    pub async fn accept(&self, token: &str) -> Answer {
        self.as_user().post_json("/api/invitations/accept", json!({ "token": token })).await
    }

    /// Sends `POST /api/teams/{tid}/switch` and stores the new tokens on success.
    pub async fn switch(&mut self, team: &str, body: Value) -> Answer {
        let answer = self.as_user().post_json(&format!("/api/teams/{team}/switch"), body).await;
        if answer.status == 200 {
            self.keep(answer.tokens());
        }
        answer
    }

    /// Sends `PATCH /api/teams/{tid}/members/{userId}`.
    pub async fn set_role(&self, team: &str, of: &Person, role: &str) -> Answer {
        let path = format!("/api/teams/{team}/members/{}", id_of(of));
        self.as_user().json(hyper::Method::PATCH, &path, json!({ "role": role })).await
    }

    /// Sends `DELETE /api/teams/{tid}/members/{userId}`.
    pub async fn remove_member(&self, team: &str, whom: &Person) -> Answer {
        self.as_user().delete(&format!("/api/teams/{team}/members/{}", id_of(whom))).await
    }
}
