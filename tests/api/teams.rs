//! Tests of teams: how they are listed, created, shown, changed, used and deleted.

use hyper::Method;
use serde_json::{Value, json};

use crate::app::both;
use crate::ask::broken_rules;
use crate::client::claims;
use crate::people::{claim, id_of, join, people};

both!(the_default_team_is_listed_after_verification, async |app| {
    let mut person = app.register("ada@example.org").await;
    person.as_user().get("/api/teams").await.expect_problem(403, "email-unverified");
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    person.verify(&token).await.expect(200);
    let list = person.as_user().get("/api/teams").await.expect(200).json();
    assert_eq!(list["next"], Value::Null);
    let [team] = list["items"].as_array().expect("a list").as_slice() else { panic!("{list}") };
    let names: Vec<&str> =
        team.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["createdAt", "id", "name", "role", "slug"]);
    assert_eq!(team["id"], claims(&person.vault_token)["tid"]);
    assert_eq!(team["role"], "owner");
    assert!(team["slug"].as_str().is_some_and(|slug| slug.starts_with("adalovelace-")));
});

both!(nobody_sees_another_ones_team, async |app| {
    let ada = app.verified("ada@example.org").await;
    let eve = app.verified("eve@example.org").await;
    let ids = async |person: &crate::client::Person| {
        person.as_user().get("/api/teams").await.expect(200).json()["items"][0]["id"].clone()
    };
    assert_ne!(ids(&ada).await, ids(&eve).await);
    assert_ne!(claims(&ada.vault_token)["pid"], claims(&eve.vault_token)["pid"]);
});

both!(pages_are_asked_for_by_rule, async |app| {
    let person = app.verified("ada@example.org").await;
    let user = person.as_user();
    user.get("/api/teams?limit=100").await.expect(200);
    for limit in ["0", "101", "-1", "x", "1.5", "99999999999999999999"] {
        let answer = user.get(&format!("/api/teams?limit={limit}")).await;
        assert_eq!(broken_rules(&answer), [("/limit".to_owned(), "range".to_owned())], "{limit}");
    }
    let answer = user.get("/api/teams?cursor=x").await;
    assert_eq!(broken_rules(&answer), [("/cursor".to_owned(), "format".to_owned())]);
    let id =
        user.get("/api/teams").await.json()["items"][0]["id"].as_str().expect("an id").to_owned();
    let after = user.get(&format!("/api/teams?cursor={id}&limit=1")).await.expect(200).json();
    assert_eq!(after, json!({ "items": [], "next": null }));
});

both!(a_team_is_made_shown_changed_and_deleted_by_its_owner, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let user = ada.as_user();
    let made = ada.make_team("Acme Inc.").await;
    let id = made["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        (&made["name"], &made["slug"], &made["role"]),
        (&json!("Acme Inc."), &json!("acme-inc"), &json!("owner"))
    );
    let path = format!("/api/teams/{id}");
    assert_eq!(user.get(&path).await.expect(200).json(), made);
    let projects = user.get(&format!("{path}/projects")).await.expect(200).json();
    assert_eq!(projects["items"][0]["slug"], "default");

    let change = json!({ "name": "Acme", "slug": "acme" });
    let changed = user.json(Method::PATCH, &path, change).await.expect(200).json();
    assert_eq!((&changed["name"], &changed["slug"]), (&json!("Acme"), &json!("acme")));
    let unchanged =
        user.json(Method::PATCH, &path, json!({ "slug": null })).await.expect(200).json();
    assert_eq!(unchanged, changed);

    let wrong = user.json(Method::DELETE, &path, json!({ "name": "acme" })).await;
    assert_eq!(broken_rules(&wrong), [("/name".to_owned(), "mismatch".to_owned())]);
    user.json(Method::DELETE, &path, json!({ "name": "Acme" })).await.expect(204);
    user.get(&path).await.expect_problem(404, "not-found");
    let list = user.get("/api/teams").await.expect(200).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
});

both!(a_slug_is_taken_once_and_one_out_of_a_name_gives_way, async |app| {
    let [ada, eve] = people(app, ["ada", "eve"]).await;
    let first = ada.make_team("Acme").await;
    assert_eq!(first["slug"], "acme");
    let second = eve.make_team("Acme").await;
    assert!(second["slug"].as_str().is_some_and(|slug| slug.starts_with("acme-")), "{second}");
    let asked = json!({ "name": "Acme", "slug": "acme" });
    eve.as_user().post_json("/api/teams", asked).await.expect_problem(409, "conflict");
    let path = format!("/api/teams/{}", second["id"].as_str().expect("an id"));
    let taken = eve.as_user().json(Method::PATCH, &path, json!({ "slug": "acme" })).await;
    taken.expect_problem(409, "conflict");
    let bad = eve.as_user().post_json("/api/teams", json!({ "name": "", "slug": "A" })).await;
    let rule = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
    assert_eq!(broken_rules(&bad), [rule("/name", "too-short"), rule("/slug", "format")]);
});

both!(a_switch_gives_tokens_of_the_same_session_and_is_remembered, async |app| {
    let [mut ada] = people(app, ["ada"]).await;
    let (before, first_team) = (ada.clone(), claim(&ada, "tid"));
    let team = ada.make_team("Acme").await["id"].as_str().expect("an id").to_owned();
    ada.switch(&team, json!({})).await.expect(200);
    assert_eq!(claim(&ada, "tid"), team);
    let user =
        |person: &crate::client::Person, name: &str| claims(&person.user_token)[name].clone();
    for same in ["sid", "jti", "gen", "sub"] {
        assert_eq!(user(&ada, same), user(&before, same), "{same}");
    }
    let path = format!("/api/teams/{team}/projects");
    let project = ada.as_user().post_json(&path, json!({ "name": "Two" })).await.expect(200).json();
    let project = project["id"].as_str().expect("an id").to_owned();
    assert_ne!(claim(&ada, "pid"), project);
    ada.switch(&team, json!({ "projectId": project })).await.expect(200);
    assert_eq!(claim(&ada, "pid"), project);
    ada.refresh().await.expect(200);
    assert_eq!((claim(&ada, "tid"), claim(&ada, "pid")), (team.clone(), project.clone()));
    assert_eq!(ada.me().await.json()["team"]["id"], json!(team));

    app.clock.advance(std::time::Duration::from_secs(1));
    let mut other = ada.another_device().await;
    assert_eq!((claim(&other, "tid"), claim(&other, "pid")), (team.clone(), project.clone()));
    // Each session stays in its team. The next login starts in the team that the user chose last.
    other.switch(&first_team, json!({})).await.expect(200);
    ada.refresh().await.expect(200);
    assert_eq!(claim(&ada, "tid"), team);
    assert_eq!(claim(&ada.another_device().await, "tid"), first_team);
    // If the request has no project id, or no body at all, latchkey takes the project that the user
    // last used in this team.
    let bare = other.as_user().bare(Method::POST, &format!("/api/teams/{team}/switch")).await;
    assert_eq!(claims(&bare.tokens().vault)["pid"], json!(project));
});

both!(a_switch_leads_nowhere_but_into_ones_own_teams_and_their_projects, async |app| {
    let [mut ada, eve] = people(app, ["ada", "eve"]).await;
    let before = (claim(&ada, "tid"), claim(&ada, "pid"));
    let body = json!({ "projectId": claim(&eve, "pid") });
    ada.switch(&claim(&eve, "tid"), body.clone()).await.expect_problem(404, "not-found");
    ada.switch(&before.0, body).await.expect_problem(404, "not-found");
    ada.switch(&before.0, json!({ "projectId": "x" })).await.expect_problem(404, "not-found");
    let wrong = ada.switch(&before.0, json!({ "projectId": 1 })).await;
    assert_eq!(broken_rules(&wrong), [("/projectId".to_owned(), "type".to_owned())]);
    ada.refresh().await.expect(200);
    assert_eq!((claim(&ada, "tid"), claim(&ada, "pid")), before);
});

both!(a_team_that_is_deleted_ends_for_every_session_in_it, async |app| {
    let [mut ada, mut bob] = people(app, ["ada", "bob"]).await;
    let (team, own) = (claim(&ada, "tid"), claim(&bob, "tid"));
    join(app, &team, &bob, "member").await;
    bob.switch(&team, json!({})).await.expect(200);
    assert_eq!((claim(&bob, "tid"), claim(&bob, "role")), (team.clone(), "member".to_owned()));
    let name = ada.me().await.json()["team"]["name"].clone();
    let path = format!("/api/teams/{team}");
    ada.as_user().json(Method::DELETE, &path, json!({ "name": name })).await.expect(204);
    assert_eq!(bob.me().await.expect(200).json()["team"]["id"], json!(own));
    bob.refresh().await.expect(200);
    assert_eq!((claim(&bob, "tid"), claim(&bob, "role")), (own, "owner".to_owned()));
    // A user without a team also gets tokens, but the vaultToken gives no access.
    ada.refresh().await.expect(200);
    assert_eq!(claims(&ada.vault_token)["tid"], Value::Null);
    assert_eq!(claim(&ada, "scope"), "");
    ada.as_user().get("/api/teams").await.expect(200);
});

both!(a_person_has_as_many_teams_as_they_may, ["teams.max_per_user" = "3"], async |app| {
    let [ada] = people(app, ["ada"]).await;
    let made = crate::ask::at_once(6, async |turn| {
        let name = json!({ "name": format!("Team {turn}") });
        ada.as_user().post_json("/api/teams", name).await
    })
    .await;
    assert_eq!(crate::ask::count(&made, 200), 2, "{made:#?}");
    let refused = made.into_iter().find(|answer| answer.status != 200).expect("one too many");
    let detail = refused.clone().expect_problem(409, "conflict").json()["detail"].clone();
    assert_eq!(detail, "You are already in 3 teams, which is the maximum.");
});

both!(an_account_that_alone_owns_a_team_with_others_stays, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "admin").await;
    let detail = ada.leave().await.expect_problem(409, "conflict").json()["detail"].to_string();
    assert!(detail.contains("Ada Lovelace's team"), "{detail}");
    ada.set_role(&team, &bob, "owner").await.expect(200);
    ada.leave().await.expect(204);
    let members = bob.as_user().get(&format!("/api/teams/{team}/members")).await.json();
    assert_eq!(members["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(members["items"][0]["userId"], json!(id_of(&bob)));
});
