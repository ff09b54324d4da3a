//! People in teams: what the tests of tenancy share.

use futures_util::future::join_all;
use latchkey::secret::uuid_v7;
use latchkey::tenancy::wall::{self, Scope};
use latchkey_entity::membership;
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait as _;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::client::{Answer, Person, claims};

/// A claim of the vaultToken, as text.
#[track_caller]
pub fn claim(person: &Person, name: &str) -> String {
    claims(&person.vault_token)[name].as_str().unwrap_or_default().to_owned()
}

/// `sub` of a person.
pub fn id_of(person: &Person) -> String {
    claims(&person.user_token)["sub"].as_str().expect("a userToken has a subject").to_owned()
}

/// People with a proven address each, made at once.
pub async fn people<const N: usize>(app: &TestApp, names: [&str; N]) -> [Person; N] {
    let made = names.map(|name| async move { app.verified(&format!("{name}@example.org")).await });
    let made: Vec<Person> = join_all(made).await;
    made.try_into().expect("as many as names")
}

/// Makes somebody a member, as an accepted invitation does.
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
    let tx = wall::begin(&inside.db, Scope::Operator).await.expect("a transaction");
    membership::Entity::insert(row).exec_without_returning(&tx).await.expect("joined");
    tx.commit().await.expect("committed");
}

impl Person {
    /// `POST /api/teams`.
    pub async fn make_team(&self, name: &str) -> Value {
        self.as_user().post_json("/api/teams", json!({ "name": name })).await.expect(200).json()
    }

    /// `POST /api/teams/{tid}/switch`; the tokens are kept when it succeeds.
    pub async fn switch(&mut self, team: &str, body: Value) -> Answer {
        let answer = self.as_user().post_json(&format!("/api/teams/{team}/switch"), body).await;
        if answer.status == 200 {
            self.keep(answer.tokens());
        }
        answer
    }

    /// `PATCH /api/teams/{tid}/members/{userId}`.
    pub async fn set_role(&self, team: &str, of: &Person, role: &str) -> Answer {
        let path = format!("/api/teams/{team}/members/{}", id_of(of));
        self.as_user().json(hyper::Method::PATCH, &path, json!({ "role": role })).await
    }

    /// `DELETE /api/teams/{tid}/members/{userId}`.
    pub async fn remove_member(&self, team: &str, whom: &Person) -> Answer {
        self.as_user().delete(&format!("/api/teams/{team}/members/{}", id_of(whom))).await
    }
}
