//! Tests with a PostgreSQL whose machine has vanished. The open connections to it never respond and
//! are not closed, while new connections lead to a server that works.

use std::time::Duration;

use futures_util::future::join_all;
use hyper::Method;
use latchkey::config;
use latchkey::database::Db;
use serde_json::json;
use tokio::time::timeout;

use super::{ANSWERED, HEALED, becomes_ready, heals, through, timed};
use crate::app::{Backend, TestApp};
use crate::client::{Answer, Person};
use crate::poll::eventually;
use crate::servers::TestDatabase;

/// The number of connections of the pool. It is so small that all connections are in use when the
/// machine vanishes.
const CONNECTIONS: &str = "3";
/// The number of requests that the test sends at the same time.
const MANY: usize = 12;

async fn writes(person: &Person) -> Vec<Answer> {
    let write = async || {
        let name = json!({ "name": "Ada" });
        timed("a write", person.as_user().json(Method::PATCH, "/api/me", name)).await.1
    };
    join_all((0..MANY).map(|_| write())).await
}

fn succeed(answers: &[Answer]) -> bool {
    answers.iter().all(|answer| answer.status == 200)
}

/// Every connection of the pool still has a statement that never ends. The requests that sent these
/// statements are already over.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_never_answer_again_are_replaced_on_servers() {
    let database = TestDatabase::create().await;
    let (proxy, url) = through(&database.url()).await;
    let builder = TestApp::builder(Backend::Servers).set("database.url", &url);
    let app = builder.set("database.max_connections", CONNECTIONS).start().await;
    let mut person = app.verified("ada@vanished.example").await;
    app.outbox_is_empty().await;
    eventually("writes", HEALED, async || succeed(&writes(&person).await).then_some(())).await;

    proxy.forget();
    for answer in writes(&person).await {
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
    }
    eventually("writes", HEALED.saturating_sub(ANSWERED), async || {
        succeed(&writes(&person).await).then_some(())
    })
    .await;
    becomes_ready(&app).await;
    heals(&app, &mut person).await;
    app.finish().await;
}

/// The pool has one connection. A caller started a statement on it that never ends, and then
/// stopped waiting.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_connection_that_never_answers_again_is_replaced_on_servers() {
    let database = TestDatabase::create().await;
    let (proxy, url) = through(&database.url()).await;
    let config = config::Database { max_connections: 1, ..config::Database::at(&url) };
    let db = Db::connect(&config).await.expect("connected");
    db.ping().await.expect("an answer");
    proxy.forget();
    let abandoned = timeout(Duration::from_millis(300), db.ping()).await;
    assert!(abandoned.is_err(), "{abandoned:?}");
    eventually("another connection", HEALED, async || db.ping().await.ok()).await;
}
