//! Tests of the projects of a team.

use hyper::Method;
use serde_json::{Value, json};

use crate::app::both;
use crate::ask::{at_once, broken_rules, count};
use crate::people::{claim, join, people};

both!(a_project_is_made_shown_changed_and_deleted, async |app| {
    let [mut ada] = people(app, ["ada"]).await;
    let team = claim(&ada, "tid");
    let projects = format!("/api/teams/{team}/projects");
    let user = ada.as_user();
    let made = user.post_json(&projects, json!({ "name": "Payments" })).await.expect(200).json();
    let names: Vec<&str> =
        made.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["createdAt", "id", "name", "slug"]);
    assert_eq!(made["slug"], "payments");
    let path = format!("{projects}/{}", made["id"].as_str().expect("an id"));
    assert_eq!(user.get(&path).await.expect(200).json(), made);
    let change = json!({ "name": "Pay", "slug": "pay" });
    let changed = user.json(Method::PATCH, &path, change).await.expect(200).json();
    assert_eq!((&changed["name"], &changed["slug"]), (&json!("Pay"), &json!("pay")));
    let taken = user.json(Method::PATCH, &path, json!({ "slug": "default" })).await;
    taken.expect_problem(409, "conflict");
    let again = json!({ "name": "x", "slug": "pay" });
    user.post_json(&projects, again).await.expect_problem(409, "conflict");
    let third = user.post_json(&projects, json!({ "name": "Pay" })).await.expect(200).json();
    assert!(third["slug"].as_str().is_some_and(|slug| slug.starts_with("pay-")), "{third}");

    ada.switch(&team, json!({ "projectId": made["id"] })).await.expect(200);
    let wrong = user.json(Method::DELETE, &path, json!({ "name": "Payments" })).await;
    assert_eq!(broken_rules(&wrong), [("/name".to_owned(), "mismatch".to_owned())]);
    user.json(Method::DELETE, &path, json!({ "name": "Pay" })).await.expect(204);
    user.get(&path).await.expect_problem(404, "not-found");
    // The session continues in another project of the team.
    ada.refresh().await.expect(200);
    let pid = json!(claim(&ada, "pid"));
    let left = user.get(&projects).await.expect(200).json();
    assert!(left["items"].as_array().is_some_and(|all| all.iter().any(|it| it["id"] == pid)));
});

both!(a_team_without_a_project_has_tokens_without_one, async |app| {
    let [mut ada] = people(app, ["ada"]).await;
    let path = format!("/api/teams/{}/projects/{}", claim(&ada, "tid"), claim(&ada, "pid"));
    ada.as_user().json(Method::DELETE, &path, json!({ "name": "Default" })).await.expect(204);
    ada.refresh().await.expect(200);
    assert_eq!(crate::client::claims(&ada.vault_token)["pid"], Value::Null);
    assert_eq!(claim(&ada, "role"), "owner");
});

both!(another_teams_project_is_not_there, async |app| {
    let [ada, eve] = people(app, ["ada", "eve"]).await;
    // Both users send requests for Eve's project under the path of Ada's team. Eve is an admin of
    // Ada's team.
    let path = format!("/api/teams/{}/projects/{}", claim(&ada, "tid"), claim(&eve, "pid"));
    join(app, &claim(&ada, "tid"), &eve, "admin").await;
    for person in [&ada, &eve] {
        let user = person.as_user();
        user.get(&path).await.expect_problem(404, "not-found");
        let change = json!({ "name": "Mine" });
        user.json(Method::PATCH, &path, change.clone()).await.expect_problem(404, "not-found");
        user.json(Method::DELETE, &path, change).await.expect_problem(404, "not-found");
    }
    let own = format!("/api/teams/{}/projects/{}", claim(&eve, "tid"), claim(&eve, "pid"));
    assert_eq!(eve.as_user().get(&own).await.expect(200).json()["name"], "Default");
});

both!(a_team_has_as_many_projects_as_it_may, ["teams.projects_max" = "3"], async |app| {
    let [ada] = people(app, ["ada"]).await;
    let path = format!("/api/teams/{}/projects", claim(&ada, "tid"));
    let made = at_once(6, async |turn| {
        ada.as_user().post_json(&path, json!({ "name": format!("P {turn}") })).await
    })
    .await;
    assert_eq!(count(&made, 200), 2, "{made:#?}");
    assert_eq!(count(&made, 409), 4, "{made:#?}");
});

both!(projects_are_listed_page_by_page, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let path = format!("/api/teams/{}/projects", claim(&ada, "tid"));
    for name in ["One", "Two", "Three"] {
        app.clock.advance(std::time::Duration::from_millis(1));
        ada.as_user().post_json(&path, json!({ "name": name })).await.expect(200);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ada.as_user().get(&format!("{path}?limit=3{cursor}")).await.expect(200).json();
        seen.extend(page["items"].as_array().expect("a list").iter().map(|it| it["name"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["Default", "One", "Two", "Three"]);
});
