//! Tests of project keys: how they are created, listed, used and revoked.

use std::time::Duration;

use latchkey::team::key_text::KeyText;
use serde_json::{Value, json};

use crate::app::both;
use crate::ask::{at_once, broken_rules, count};
use crate::client::Person;
use crate::people::{claim, id_of, join, people};

/// Returns the names of the members of a JSON object.
pub fn names(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

both!(a_key_is_shown_once_and_listed_without_its_secret, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let end = "2099-01-01T00:00:00+01:00";
    let body = json!({ "name": " CI ", "scopes": ["vault:write", "vault:read"], "expiresAt": end });
    let made = ada.as_user().post_json(&ada.keys(), body).await.expect(200).json();
    let mut members = vec!["createdAt", "createdBy", "expiresAt", "id", "lastUsedAt", "name"];
    members.push("scopes");
    assert_eq!(names(&made), [&members[..], &["secret"]].concat());
    assert_eq!((&made["name"], &made["createdBy"]), (&json!("CI"), &json!(id_of(&ada))));
    assert_eq!(made["scopes"], json!(["vault:read", "vault:write"]));
    assert_eq!(made["expiresAt"], "2098-12-31T23:00:00.000Z");
    assert_eq!(made["lastUsedAt"], Value::Null);
    let secret = made["secret"].as_str().expect("text");
    let text = KeyText::parse(secret).expect("a key");
    assert_eq!(made["id"], text.id.to_string());
    app.clock.advance(Duration::from_millis(1));
    let second = ada.make_key(&["vault:read"]).await;

    let page = ada.as_user().get(&format!("{}?limit=1", ada.keys())).await.expect(200);
    assert!(!page.text().contains("lk_") && !page.text().contains(&text.digest));
    let page = page.json();
    assert_eq!(names(&page["items"][0]), members);
    assert_eq!(page["items"][0]["id"], made["id"]);
    let next = page["next"].as_str().expect("there is more");
    let rest = ada.as_user().get(&format!("{}?limit=1&cursor={next}", ada.keys())).await.json();
    assert_eq!((&rest["items"][0]["id"], &rest["next"]), (&json!(second.id), &Value::Null));
});

both!(what_breaks_a_rule_makes_no_key, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let post = async |body: Value| ada.as_user().post_json(&ada.keys(), body).await;
    let rule = |pointer: &str, code: &str| vec![(pointer.to_owned(), code.to_owned())];
    let read = json!(["vault:read"]);
    for (body, expected) in [
        (json!({ "name": "", "scopes": read }), rule("/name", "too-short")),
        (json!({ "name": "x" }), rule("/scopes", "required")),
        (json!({ "name": "x", "scopes": [] }), rule("/scopes", "too-short")),
        (json!({ "name": "x", "scopes": "vault:read" }), rule("/scopes", "type")),
        (json!({ "name": "x", "scopes": ["vault:read", 1] }), rule("/scopes", "type")),
        (json!({ "name": "x", "scopes": ["vault:everything"] }), rule("/scopes", "unknown")),
        (json!({ "name": "x", "scopes": read, "expiresAt": "soon" }), rule("/expiresAt", "format")),
        (
            json!({ "name": "x", "scopes": read, "expiresAt": "2001-01-01T00:00:00Z" }),
            rule("/expiresAt", "range"),
        ),
    ] {
        assert_eq!(broken_rules(&post(body.clone()).await), expected, "{body}");
    }
    let list = ada.as_user().get(&ada.keys()).await.expect(200).json();
    assert_eq!(list["items"], json!([]));
});

both!(nobody_gives_a_key_more_than_they_have, async |app| {
    let [ada, mut bob, eve] = people(app, ["ada", "bob", "eve"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "admin").await;
    join(app, &team, &eve, "member").await;
    bob.switch(&team, json!({})).await.expect(200);
    let body = |scope: &str| json!({ "name": "x", "scopes": ["vault:read", scope] });
    let post = async |person: &Person, scope: &str| {
        person.as_user().post_json(&ada.keys(), body(scope)).await
    };
    post(&eve, "vault:read").await.expect_problem(403, "forbidden");
    post(&bob, "team:own").await.expect_problem(403, "forbidden");
    post(&bob, "vault:manage").await.expect(200);
    post(&ada, "team:own").await.expect(200);
    // The key keeps its scopes after the user who created the key has left the team.
    let key = bob.make_key(&["vault:manage"]).await;
    ada.remove_member(&team, &bob).await.expect(204);
    bob.leave().await.expect(204);
    let answer = key.ask(app, &[]).await.expect(200).json();
    assert_eq!(answer["scope"], "vault:manage");
    let listed = ada.as_user().get(&ada.keys()).await.expect(200).json();
    let items = listed["items"].as_array().expect("a list");
    let mine = items.iter().find(|it| it["id"] == key.id).expect("listed");
    assert_eq!(mine["createdBy"], Value::Null);
});

both!(the_last_use_is_written_once_a_minute, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let key = ada.make_key(&["vault:read"]).await;
    let last = async || {
        let list = ada.as_user().get(&ada.keys()).await.expect(200).json();
        list["items"][0]["lastUsedAt"].clone()
    };
    assert_eq!(last().await, Value::Null);
    let first = latchkey::clock::rfc3339(app.clock.now());
    key.token(app).await;
    assert_eq!(last().await, json!(first));
    app.clock.advance(Duration::from_secs(59));
    key.token(app).await;
    assert_eq!(last().await, json!(first));
    app.clock.advance(Duration::from_secs(1));
    key.client(app).post_form("/api/introspect", &[("token", "x")]).await.expect(200);
    assert_eq!(last().await, json!(latchkey::clock::rfc3339(app.clock.now())));
});

both!(of_two_keys_made_at_once_at_the_limit_one_is, ["teams.keys_max" = "3"], async |app| {
    let [ada] = people(app, ["ada"]).await;
    let kept = ada.make_key(&["vault:read"]).await;
    let second = ada.make_key(&["vault:read"]).await;
    let body = || json!({ "name": "x", "scopes": ["vault:read"] });
    let made = at_once(4, async |_| ada.as_user().post_json(&ada.keys(), body()).await).await;
    assert_eq!((count(&made, 200), count(&made, 409)), (1, 3), "{made:#?}");
    let over = made.into_iter().find(|answer| answer.status == 409).expect("three");
    let detail = over.expect_problem(409, "conflict").json()["detail"].clone();
    assert!(detail.as_str().is_some_and(|text| text.contains("3 keys")), "{detail}");
    ada.as_user().delete(&format!("{}/{}", ada.keys(), second.id)).await.expect(204);
    ada.make_key(&["vault:read"]).await;
    kept.token(app).await;
});

both!(making_and_revoking_is_in_the_teams_audit, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let key = ada.make_key(&["vault:read"]).await;
    ada.as_user().delete(&format!("{}/{}", ada.keys(), key.id)).await.expect(204);
    let events = crate::audit::rows(app).await;
    for action in ["project-key.created", "project-key.revoked"] {
        let found: Vec<_> = events.iter().filter(|event| event.action == action).collect();
        assert_eq!(found.len(), 1, "{action}");
        assert!(found[0].detail.contains(&key.id), "{action}: {:?}", found[0].detail);
    }
    let said = app.admin().get("/metrics").await.expect(200).text();
    for line in ["change=\"key_created\"", "change=\"key_revoked\""] {
        assert!(said.contains(line), "{line}");
    }
});
