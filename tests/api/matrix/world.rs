//! The callers of the matrix, and the objects that a path can name.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;
use serde_json::json;

use super::{Object, Team, Who};
use crate::app::TestApp;
use crate::ask::sql;
use crate::client::{Client, Person};
use crate::factors::{Enrolled, enrolled};
use crate::limits_attempts::{DEVICE, login};
use crate::people::{ProjectKey, claim, id_of, join, people};

/// The callers, and the values that path parameters can have.
pub(super) struct World {
    pub(super) callers: BTreeMap<Who, Client>,
    teams: [(Team, String); 6],
    pub(super) own: BTreeMap<&'static str, String>,
    /// Objects of the other team.
    others: BTreeMap<&'static str, String>,
    /// Objects of the disabled team.
    closeds: BTreeMap<&'static str, String>,
    /// Tokens to introspect. Each entry has a team, and the userToken and the vaultToken of one
    /// user.
    pub(super) tokens: [(Team, String, String); 3],
    strange: Vec<String>,
    /// Keys that no cell revokes.
    pub(super) keys: [ProjectKey; 2],
    /// A third team, whose invitations no cell changes.
    pub(super) third: String,
}

const RANDOM: &str = "0190a0a0-0000-7000-8000-000000000000";

pub(super) async fn world(app: &TestApp) -> World {
    let [expired] = people(app, ["expired"]).await;
    app.clock.advance(Duration::from_mins(16));
    let [owner, admin, member, viewer] = people(app, ["owner", "admin", "member", "viewer"]).await;
    let [other, stranger, removed, disabled, closed] =
        people(app, ["other", "stranger", "removed", "disabled", "closed"]).await;
    let unverified = app.register("unverified@example.org").await;
    app.mail_to("unverified@example.org").await;
    let team = claim(&owner, "tid");
    for (person, role) in
        [(&admin, "admin"), (&member, "member"), (&viewer, "viewer"), (&removed, "admin")]
    {
        join(app, &team, person, role).await;
    }
    owner.remove_member(&team, &removed).await.expect(204);
    let two_factors = enrolled(app, "two@example.org").await.person;
    let one_factor = on_trusted_device(app, enrolled(app, "one@example.org").await).await;
    join(app, &team, &two_factors, "admin").await;
    join(app, &team, &one_factor, "admin").await;
    sql(app, "UPDATE users SET status = 'disabled' WHERE email = 'disabled@example.org'").await;
    let gone = owner.make_team("Gone").await["id"].as_str().expect("an id").to_owned();
    let delete = json!({ "name": "Gone" });
    let path = format!("/api/teams/{gone}");
    owner.as_user().json(Method::DELETE, &path, delete).await.expect(204);
    let keys = [key_elsewhere(&owner).await, key_elsewhere(&other).await];
    let closed_key = key_elsewhere(&closed).await;
    let third = claim(&stranger, "tid");
    let one = stranger.invited(&third, "one@example.com", "viewer").await;
    let two = stranger.invited(&third, "two@example.com", "viewer").await;
    let disable = format!("UPDATE teams SET status = 'disabled' WHERE slug = '{}'", {
        let mine = closed.as_user().get("/api/teams").await.json();
        mine["items"][0]["slug"].as_str().expect("a slug").to_owned()
    });
    sql(app, &disable).await;
    let ids = |person: &Person, key: &ProjectKey, invitation: String| {
        let pid = claim(person, "pid");
        let ids = [("pid", pid), ("userId", id_of(person)), ("kid", key.id.clone())];
        ids.into_iter().chain([("iid", invitation)]).collect::<BTreeMap<_, _>>()
    };
    let closeds = ids(&closed, &closed_key, one.clone());
    let (own, others) = (ids(&owner, &keys[0], one), ids(&other, &keys[1], two));
    let pair = |person: &Person| (person.user_token.clone(), person.vault_token.clone());
    let tokens = [(Team::Own, &owner), (Team::Other, &other), (Team::Closed, &closed)];
    let tokens = tokens.map(|(team, person)| {
        let (user, vault) = pair(person);
        (team, user, vault)
    });
    let mut strange: Vec<String> = others.values().cloned().collect();
    strange.extend([RANDOM.to_owned(), "x%27--".to_owned()]);
    let teams = [
        (Team::Own, team),
        (Team::Other, claim(&other, "tid")),
        (Team::Closed, claim(&closed, "tid")),
        (Team::Random, RANDOM.to_owned()),
        (Team::Malformed, "..%2F".to_owned()),
        (Team::Deleted, gone),
    ];
    let callers = BTreeMap::from([
        (Who::Anonymous, app.anonymous().0),
        (Who::Expired, expired.as_user()),
        (Who::VaultToken, owner.as_vault()),
        (Who::KeyToken, app.anonymous().bearer(&keys[0].token(app).await)),
        (Who::Key, keys[0].client(app)),
        (Who::KeyOfClosed, closed_key.client(app)),
        (Who::Operator, crate::introspection::as_client(app)),
        (Who::Disabled, disabled.as_user()),
        (Who::Unverified, unverified.as_user()),
        (Who::Stranger, stranger.as_user()),
        (Who::Removed, removed.as_user()),
        (Who::Viewer, viewer.as_user()),
        (Who::Member, member.as_user()),
        (Who::Admin, admin.as_user()),
        (Who::OneFactor, one_factor.as_user()),
        (Who::TwoFactors, two_factors.as_user()),
        (Who::Owner, owner.as_user()),
        (Who::OtherOwner, other.as_user()),
        (Who::OwnerOfClosed, closed.as_user()),
    ]);
    World { callers, teams, own, others, closeds, tokens, strange, keys, third }
}

/// Creates a key in another project of the user's team, and not in the current project.
async fn key_elsewhere(person: &Person) -> ProjectKey {
    let path = format!("/api/teams/{}/projects", claim(person, "tid"));
    let made = person.as_user().post_json(&path, json!({ "name": "Elsewhere" })).await;
    let project = made.expect(200).json()["id"].as_str().expect("an id").to_owned();
    person.make_key_in(&project, &["vault:read"]).await
}

/// Trusts a device, and logs in on it with the password alone.
async fn on_trusted_device(app: &TestApp, user: Enrolled) -> Person {
    let challenge = app.anonymous().challenge(&user.person).await;
    let code = user.authenticator.next(app);
    let body =
        json!({ "challenge": challenge, "method": "totp", "code": code, "trustDevice": true });
    let answer = app.anonymous().post_json("/api/login/factor", body).await.expect(200);
    let device = app.anonymous().header(DEVICE, answer.header(DEVICE).expect("a device"));
    let mut person = user.person;
    person.keep(login(&device, &person.email, &person.password).await.tokens());
    app.mail_to(&person.email).await;
    person
}

impl World {
    pub(super) fn own_team(&self) -> String {
        format!("/api/teams/{}", self.teams[0].1)
    }

    /// Returns every object that a path can name.
    pub(super) fn objects(&self, path: &str) -> Vec<Object> {
        let names = ["pid", "userId", "kid", "iid"].into_iter();
        let inner: Vec<&str> = names.filter(|it| path.contains(&format!("{{{it}}}"))).collect();
        let mut objects = Vec::new();
        for (team, id) in &self.teams {
            let path = path.replace("{tid}", id);
            let with = |path: &str, name: &str, id: &str| path.replace(&format!("{{{name}}}"), id);
            let whole = |ids: &BTreeMap<&'static str, String>| {
                inner.iter().fold(path.clone(), |path, name| with(&path, name, &ids[name]))
            };
            if inner.is_empty() {
                let is_there = true;
                // If the path has no parameter below the team, it names one object.
                objects.push(Object { team: *team, path: fill(&path), is_there });
                continue;
            }
            // The keys belong to another project than the one in the path, and the invitations
            // belong to a third team.
            let elsewhere = inner.iter().any(|name| matches!(*name, "kid" | "iid"));
            let all = [
                (Team::Own, &self.own),
                (Team::Other, &self.others),
                (Team::Closed, &self.closeds),
            ];
            for (whose, ids) in all {
                let is_there = *team == whose && !elsewhere;
                objects.push(Object { team: *team, path: whole(ids), is_there });
            }
            // One parameter has the id of a foreign object. The other parameters name objects of
            // the caller's own team.
            for name in &inner {
                for id in &self.strange {
                    let rest = inner.iter().filter(|it| *it != name);
                    let path = with(&path, name, id);
                    let path = rest.fold(path, |path, it| with(&path, it, &self.own[it]));
                    let is_there =
                        *team == Team::Other && path == whole(&self.others) && !elsewhere;
                    objects.push(Object { team: *team, path, is_there });
                }
            }
        }
        if !path.contains("{tid}") {
            objects.truncate(1);
        }
        objects
    }
}

/// Fills the remaining parameters with values of objects that do not exist.
fn fill(path: &str) -> String {
    path.replace("{email}", "nobody%40example.org").replace(['{', '}'], "")
}
