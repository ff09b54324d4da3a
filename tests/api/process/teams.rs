//! Tests of `latchkey teams …` beside a running daemon. If an operator disables a team, this takes
//! effect at once. If the operator enables the team again, the team is the same as before.

use hyper::Method;
use serde_json::{Value, json};

use super::users::on_servers;
use super::{Place, Running};
use crate::client::{Client, Person, claims};
use crate::factor_lifecycle::add_totp;
use crate::servers::{TestDatabase, redis_space};

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// Registers a user with a confirmed address and a team.
async fn somebody(running: &Running, email: &str) -> Person {
    let mut person = Person::register(&running.client, email).await;
    let mail = running.mail_to(email, 0).await;
    person.verify(mail.token()).await.expect(200);
    person
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_team_shows_its_members_without_a_second_factor_embedded() {
    a_team_shows_its_members_without_a_second_factor(Place::new()).await;
}

#[tokio::test]
async fn a_team_shows_its_members_without_a_second_factor_on_servers() {
    let (place, _database) = on_servers().await;
    a_team_shows_its_members_without_a_second_factor(place).await;
}

async fn a_team_shows_its_members_without_a_second_factor(mut place: Place) {
    let running = place.start().await;
    let mut ada = somebody(&running, "ada@work.example").await;
    // Another team of another user is not counted.
    somebody(&running, "bob@work.example").await;
    let team = text(&claims(&ada.vault_token)["tid"]);
    let show = |place: &Place| {
        let found = value(&place.run(&["teams", "show", &team, "--json"]).expect(0).stdout());
        let counts = [&found["members"], &found["membersWithoutFactor"]].map(Value::as_u64);
        let shown = place.run(&["teams", "show", &team]).expect(0).stdout();
        (found["requireFactor"].clone(), counts, shown)
    };
    let (required, counts, shown) = show(&place);
    assert_eq!((required, counts), (json!(false), [Some(1), Some(1)]));
    assert!(shown.contains("requireFactor   no\n"), "{shown}");
    assert!(shown.contains("without factor  1 of the members\n"), "{shown}");

    add_totp(&mut ada, "Phone", latchkey::clock::Clock::System.now()).await;
    let path = format!("/api/teams/{team}");
    let body = json!({ "requireFactor": true });
    ada.as_user().json(Method::PATCH, &path, body).await.expect(200);
    let (required, counts, shown) = show(&place);
    assert_eq!((required, counts), (json!(true), [Some(1), Some(0)]));
    assert!(shown.contains("requireFactor   yes\n"), "{shown}");
    running.stop().await;
}

/// Creates a program of a team. Returns the credentials of the program's key, and a token of this
/// key.
async fn program(running: &Running, person: &Person) -> (Vec<(&'static str, String)>, String) {
    let said = claims(&person.vault_token);
    let path = format!("/api/teams/{}/projects/{}/keys", text(&said["tid"]), text(&said["pid"]));
    let body = json!({ "name": "x", "scopes": ["vault:read"] });
    let made = person.as_user().post_json(&path, body).await.expect(200).json();
    let fields = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", text(&made["id"])),
        ("client_secret", text(&made["secret"])),
    ];
    let given = grant(running, &fields).await.expect(200).json();
    (fields, text(&given["access_token"]))
}

async fn grant(running: &Running, fields: &[(&str, String)]) -> crate::client::Answer {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, it)| (*name, it.as_str())).collect();
    running.client.post_form("/api/token", &fields).await
}

async fn passes(client: &Client, token: &str) -> bool {
    client.bearer(token).get("/api/forward-auth").await.status == 200
}

async fn an_operator_closes_a_team_and_opens_it(mut place: Place) {
    let running = place.start().await;
    let mut ada = somebody(&running, "ada@work.example").await;
    let bob = somebody(&running, "bob@work.example").await;
    let (team, client) = (text(&claims(&ada.vault_token)["tid"]), &running.client);
    let (fields, token) = program(&running, &ada).await;
    let second = json!({ "name": "Second" });
    let second = ada.as_user().post_json("/api/teams", second).await.expect(200).json();

    let listed = value(&place.run(&["teams", "list", "--json"]).expect(0).stdout());
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(3));
    let page = value(&place.run(&["teams", "list", "--json", "--limit", "2"]).expect(0).stdout());
    let next = text(&page["next"]);
    let rest = place.run(&["teams", "list", "--json", "--after", &next]).expect(0).stdout();
    assert_eq!(value(&rest)["items"].as_array().map(Vec::len), Some(1));
    let found = place.run(&["teams", "list", "--search", "SECOND"]).expect(0).stdout();
    assert!(found.contains("second") && !found.contains(&team), "{found}");
    let invite = json!({ "email": "eve@work.example", "role": "member" });
    ada.as_user().post_json(&format!("/api/teams/{team}/invitations"), invite).await.expect(200);
    let shown = value(&place.run(&["teams", "show", &team, "--json"]).expect(0).stdout());
    assert_eq!(shown["invitations"], 1, "open ones count");
    assert_eq!(
        (&shown["members"], &shown["projects"], &shown["keys"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(shown["owners"][0]["email"], "ada@work.example");
    let slug = text(&shown["slug"]);
    let shown = place.run(&["teams", "show", &slug]).expect(0).stdout();
    assert!(shown.contains(&team) && shown.contains("ada@work.example"), "{shown}");

    assert!(passes(client, &ada.vault_token).await && passes(client, &token).await);
    place.run(&["teams", "disable", &slug]).expect(0);
    let again = value(&place.run(&["teams", "disable", &team, "--json"]).expect(0).stdout());
    assert_eq!((&again["id"], &again["changed"]), (&json!(team), &json!(false)));
    // The tokens of the user and of the program are refused at once. Other teams are not affected.
    assert!(!passes(client, &ada.vault_token).await && !passes(client, &token).await);
    assert!(passes(client, &bob.vault_token).await);
    assert_eq!(grant(&running, &fields).await.expect(401).json()["error"], "invalid_client");
    // The session stays open, but its vaultToken gives no access.
    ada.refresh().await.expect(200);
    assert!(claims(&ada.vault_token).get("tid").is_none());
    assert_eq!(claims(&ada.vault_token)["scope"], "");
    // Members see that the team is disabled, and can only leave or delete it.
    let teams = ada.as_user().get("/api/teams").await.expect(200).json();
    let disabled = |id: &str| {
        let items = teams["items"].as_array().expect("a list");
        items.iter().find(|it| it["id"] == id).expect("listed").get("disabled").cloned()
    };
    assert_eq!((disabled(&team), disabled(&text(&second["id"]))), (Some(json!(true)), None));
    let path = format!("/api/teams/{team}");
    assert_eq!(ada.as_user().get(&path).await.expect(200).json()["disabled"], true);
    ada.as_user().get(&format!("{path}/members")).await.expect(200);
    for (method, path) in [
        (Method::POST, format!("{path}/switch")),
        (Method::PATCH, path.clone()),
        (Method::POST, format!("{path}/projects")),
    ] {
        let body = json!({ "name": "x" });
        let refused =
            ada.as_user().json(method, &path, body).await.expect_problem(403, "forbidden");
        assert!(text(&refused.json()["detail"]).contains("disabled"), "{path}");
    }
    let other_name = json!({ "name": "x" });
    ada.as_user().json(Method::DELETE, &path, other_name).await.expect(422);
    // The user can switch to another team. The next login then starts in that team.
    ada.switch(&text(&second["id"]), json!({})).await.expect(200);
    assert!(passes(client, &ada.vault_token).await);
    let mut elsewhere = ada.clone();
    elsewhere.login().await.expect(200);
    assert_eq!(claims(&elsewhere.vault_token)["tid"], second["id"]);

    let disabled =
        place.run(&["teams", "list", "--status", "disabled", "--json"]).expect(0).stdout();
    assert_eq!(value(&disabled)["items"].as_array().map(Vec::len), Some(1));
    place.run(&["teams", "enable", &team]).expect(0);
    assert!(passes(client, &token).await);
    ada.switch(&team, json!({})).await.expect(200);
    assert!(passes(client, &ada.vault_token).await);
    grant(&running, &fields).await.expect(200);
    for command in ["show", "disable", "enable"] {
        place.run(&["teams", command, "no-such-team"]).expect(3);
        place.run(&["teams", command, "No Slug"]).expect(2);
    }
    let export = place.run(&["audit", "export"]).expect(0).stdout();
    for action in ["team.disabled", "team.enabled"] {
        assert_eq!(export.matches(&format!("\"{action}\"")).count(), 1, "{action}");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_operator_closes_a_team_and_opens_it_embedded() {
    an_operator_closes_a_team_and_opens_it(Place::new()).await;
}

#[tokio::test]
async fn an_operator_closes_a_team_and_opens_it_on_servers() {
    let database = TestDatabase::create().await;
    let place = Place::new()
        .set("database.url", &database.url())
        .set("redis.url", &redis_space().await)
        .set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    an_operator_closes_a_team_and_opens_it(place).await;
}
