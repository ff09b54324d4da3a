//! `GET /api/teams`.

use serde_json::{Value, json};

use crate::app::both;
use crate::ask::broken_rules;
use crate::client::claims;

both!(the_default_team_is_listed_after_verification, async |app| {
    let mut person = app.register("ada@example.org").await;
    let empty = person.as_user().get("/api/teams").await.expect(200).json();
    assert_eq!(empty, json!({ "items": [], "next": null }));
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
