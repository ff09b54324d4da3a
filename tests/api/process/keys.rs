//! Tests of `latchkey keys …` beside a running daemon. The tests use the commands as an operator
//! does.

use serde_json::Value;

use super::{Place, Running};
use crate::client::{Person, jose_header};
use crate::servers::{TestDatabase, free_port};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

fn list(place: &Place) -> Vec<Value> {
    let printed = place.run(&["keys", "list", "--json"]).expect(0).stdout();
    json(&printed).as_array().expect("a list").clone()
}

/// Returns the `kid`s of the keys of this kind in this state.
fn kids(place: &Place, kind: &str, state: &str) -> Vec<String> {
    let is = |key: &Value| key["kind"] == kind && key["state"] == state;
    let name = |key: Value| key["kid"].as_str().expect("a kid").to_owned();
    list(place).into_iter().filter(is).map(name).collect()
}

async fn kid_of_jwks(running: &Running) -> Vec<String> {
    let set = running.anonymous().get("/.well-known/jwks.json").await.expect(200).json();
    let keys = set["keys"].as_array().expect("keys").clone();
    keys.iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

async fn walks(mut place: Place) {
    let running = place.start().await;
    let ada = Person::register(&running.client, "ada@example.org").await;
    let kid = |token: &str| jose_header(token)["kid"].as_str().expect("a kid").to_owned();
    let (user, vault) = (kid(&ada.user_token), kid(&ada.vault_token));
    assert_eq!(kids(&place, "user", "signing"), std::slice::from_ref(&user));
    assert_eq!(kids(&place, "vault", "signing"), std::slice::from_ref(&vault));
    let table = place.run(&["keys", "list"]).expect(0).stdout();
    assert!(table.starts_with("KID ") && table.lines().count() == 5, "{table}");
    let exported = place.run(&["keys", "export-jwks"]).expect(0).stdout();
    assert_eq!(json(&exported), running.anonymous().get("/.well-known/jwks.json").await.json());
    assert!(!exported.contains("\"d\""));

    let rotated = place.run(&["keys", "rotate"]).expect(0);
    assert!(rotated.stderr().contains("vault: a new key is published, and signs from"));
    let next = kids(&place, "vault", "next");
    assert_eq!((next.len(), kids(&place, "user", "next").len()), (1, 1));
    let again =
        json(&place.run(&["keys", "rotate", "--kind", "vault", "--json"]).expect(0).stdout());
    assert_eq!(again[0]["outcome"], "waiting");
    assert_eq!(kids(&place, "vault", "next"), next);
    assert!(place.run(&["keys", "export-jwks"]).expect(0).stdout().contains(&next[0]));

    let now = place.run(&["keys", "rotate", "--kind", "vault", "--now"]).expect(0);
    assert!(now.stderr().contains("may refuse its tokens"), "{}", now.stderr());
    assert_eq!(kids(&place, "vault", "signing"), next, "the published one goes first");
    assert_eq!(kids(&place, "vault", "retired"), std::slice::from_ref(&vault));

    let before = list(&place);
    for (kid, outcome) in [(&user, "replaced"), (&vault, "revoked")] {
        let dry = place.run(&["keys", "retire", kid, "--dry-run", "--json"]).expect(0).stdout();
        assert_eq!(json(&dry)["outcome"], outcome);
    }
    place.run(&["keys", "retire", "nobody", "--dry-run"]).expect(3);
    assert_eq!(list(&place), before, "a dry run changes nothing");
    let replaced = place.run(&["keys", "retire", &user, "--json"]).expect(0).stdout();
    assert_eq!(json(&replaced)["outcome"], "replaced");
    assert_eq!(kids(&place, "user", "revoked"), [user]);
    let unknown = place.run(&["keys", "retire", "nobody"]).expect(3);
    assert!(unknown.stderr().contains("no key with this kid") && unknown.stdout().is_empty());
    running.stop().await;

    let running = place.start().await;
    let mut published = kid_of_jwks(&running).await;
    let mut expected = vec![vault, next[0].clone()];
    published.sort();
    expected.sort();
    assert_eq!(published, expected);
    let me = running.anonymous().bearer(&ada.user_token).get("/api/me").await;
    me.expect_problem(401, "invalid-token");
    let tokens = running.anonymous().login(&ada.email, &ada.password).await.tokens();
    assert_eq!(kid(&tokens.vault), next[0]);

    let store = kids(&place, "store", "signing");
    let help = place.run(&["keys", "rotate", "--kind", "store"]).expect(2).stderr();
    assert!(help.contains("possible values"), "the key of the token store is not rotated: {help}");
    let dry = place.run(&["keys", "retire", &store[0], "--dry-run"]).expect(0).stderr();
    let replaced = place.run(&["keys", "retire", &store[0]]).expect(0).stderr();
    for said in [&dry, &replaced] {
        for word in ["every user", "logged out", "every link", "within 30 s"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
    assert_eq!(kids(&place, "store", "revoked"), store);
    assert_ne!(kids(&place, "store", "signing"), store);
    let again = place.run(&["keys", "retire", &store[0], "--dry-run"]).expect(0).stderr();
    assert!(again.contains("nothing changes"), "{again}");
    running.stop().await;
}

#[tokio::test]
async fn keys_are_listed_rotated_and_retired_beside_a_daemon_embedded() {
    walks(Place::new()).await;
}

#[tokio::test]
async fn keys_are_listed_rotated_and_retired_beside_a_daemon_on_servers() {
    let database = TestDatabase::create().await;
    let place = Place::new()
        .set("database.url", &database.url())
        .set("database.auto_migrate", "true")
        .set("secrets.master_key", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=");
    walks(place).await;
}

#[tokio::test]
async fn a_command_that_cannot_work_says_why_and_makes_nothing_embedded() {
    let place = Place::new();
    let told = place.run(&["keys", "list"]).expect(69).stderr();
    assert!(told.contains("there is no database"), "{told}");
    assert!(!place.path("data").exists());
    place.run(&["migrate", "up"]).expect(0);
    let told = place.run(&["keys", "list"]).expect(78).stderr();
    assert!(told.contains("secrets.master_key"), "{told}");
    let url = format!("postgres://ada:hunter2@127.0.0.1:{}/latchkey", free_port());
    let key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
    let place = place.set("database.url", &url).set("secrets.master_key", key);
    let told = place.run(&["keys", "rotate"]).expect(69).stderr();
    assert!(told.contains("cannot reach the database") && !told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_shared_secret_is_no_key_of_ours_to_rotate_embedded() {
    let mut place = Place::new()
        .set("tokens.algorithm", "HS256")
        .set("tokens.allow_shared_secret", "true")
        .set("tokens.secret", "kJ8s0bQ2mZr7Tt4cXv9LwYp1Ne6Ua3Gh5Df8Rk0Bo2M=");
    let running = place.start().await;
    let told = place.run(&["keys", "rotate", "--json"]).expect(0);
    assert_eq!(json(&told.stdout())[1]["outcome"], "shared");
    assert!(told.stderr().contains("tokens.secret"));
    running.stop().await;
}
