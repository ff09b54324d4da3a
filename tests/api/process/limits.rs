//! Tests of `latchkey limits …` beside a running daemon.

use serde_json::{Value, json};

use super::{Place, Running};
use crate::servers::{TestDatabase, redis_space};

const EMAIL: &str = "eve@work.example";
const PASSWORD: &str = "a staple of the battery";

async fn login(running: &Running, password: &str) -> u16 {
    let body = json!({ "email": EMAIL, "password": password });
    running.client.post_json("/api/login", body).await.status
}

fn explained(place: &Place, subject: &str) -> Value {
    let told = place.run(&["limits", "explain", subject, "--json"]).expect(0);
    serde_json::from_str(&told.stdout()).expect("JSON")
}

async fn an_operator_sees_what_holds_and_lifts_it(mut place: Place) {
    let running = place.start().await;
    let place = place.set("admin.listen", &running.admin.to_string());
    let body = json!({ "email": EMAIL, "password": PASSWORD, "name": "Eve" });
    running.client.post_json("/api/register", body).await.expect(200);
    for _ in 0..6 {
        assert_eq!(login(&running, "not the password").await, 401);
    }
    assert_eq!(login(&running, PASSWORD).await, 429);

    let found = explained(&place, "Eve@work.example");
    assert_eq!(found["email"], EMAIL);
    assert!(found["account"].is_string());
    assert_eq!(found["backOff"]["failures"], 6);
    assert_eq!(found["backOff"]["anonymous"]["waiting"], 1);
    assert!(found["backOff"]["anonymous"]["until"].is_string());
    assert!(found["backOff"]["closedUntil"].is_null());
    let budgets = found["budgets"].as_array().expect("budgets");
    let left = |name: &str| {
        let budget = budgets.iter().find(|it| it["name"] == name).expect("a budget");
        (budget["left"].as_u64().expect("a number"), budget["burst"].as_u64().expect("a number"))
    };
    assert_eq!(left("confirmations"), (2, 3), "the registration's");
    assert_eq!(left("account-writes"), (120, 120));

    let told = place.run(&["limits", "explain", EMAIL, "--client", "127.0.0.1"]).expect(0);
    for part in [
        "6 failed logins",
        "client 127.0.0.1, without a known device or session:\n    passwords: has to wait until",
        "    codes: does not have to wait",
        "2 of 3 left",
        "limits reset",
    ] {
        assert!(told.stdout().contains(part), "{part}: {}", told.stdout());
    }
    let nobody = explained(&place, "nobody@work.example");
    assert!(nobody["account"].is_null() && nobody["backOff"].is_null());

    // These are the limits that the daemon itself holds for the client: six of ten logins are used
    // up. A refused login uses up nothing, and neither does this command.
    for _ in 0..2 {
        let found = explained(&place, "127.0.0.1");
        let items = found["items"].as_array().expect("items");
        let login = items.iter().find(|it| it["policy"] == "login").expect("a policy");
        assert_eq!((&login["remaining"], &login["quota"]), (&json!(4), &json!(10)));
        assert!(login["retryAfter"].is_null());
    }
    let told = place.run(&["limits", "explain", "127.0.0.1"]).expect(0);
    assert!(told.stdout().contains("login: 4 of 10 requests left"), "{}", told.stdout());

    place.run(&["limits", "reset", "127.0.0.1"]).expect(2);
    place.run(&["limits", "explain", "neither"]).expect(2);
    place.run(&["limits", "reset", EMAIL]).expect(0);
    assert_eq!(login(&running, PASSWORD).await, 200);
    assert!(explained(&place, EMAIL)["backOff"].is_null());
    let events = place.run(&["audit", "export"]).expect(0);
    assert_eq!(events.stdout().matches("limits.reset").count(), 1, "{}", events.stdout());
    place.run(&["audit", "verify"]).expect(0);
    running.stop().await;
    let told = place.run(&["limits", "explain", "127.0.0.1"]).expect(69);
    assert!(told.stderr().contains("admin listener"), "{}", told.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_holds_and_lifts_it_embedded() {
    an_operator_sees_what_holds_and_lifts_it(Place::new().set("rate_limit.enabled", "true")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_holds_and_lifts_it_on_servers() {
    let database = TestDatabase::create().await;
    let place = Place::new()
        .set("rate_limit.enabled", "true")
        .set("database.url", &database.url())
        .set("redis.url", &redis_space().await)
        .set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    an_operator_sees_what_holds_and_lifts_it(place).await;
    drop(database);
}
