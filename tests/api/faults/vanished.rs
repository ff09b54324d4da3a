//! A PostgreSQL whose machine vanished: connections to it stay open and never answer, while new ones
//! lead to a server that works.

use futures_util::future::join_all;
use hyper::Method;
use serde_json::json;

use super::{ANSWERED, HEALED, becomes_ready, heals, through, timed};
use crate::app::{Backend, TestApp};
use crate::client::{Answer, Person};
use crate::poll::eventually;
use crate::servers::TestDatabase;

/// More than there are connections in the pool.
const MANY: usize = 30;

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

/// The abandoned requests leave every connection of the pool in a statement without an end.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_never_answer_again_are_replaced_on_servers() {
    let database = TestDatabase::create().await;
    let (proxy, url) = through(&database.url()).await;
    let app = TestApp::builder(Backend::Servers).set("database.url", &url).start().await;
    let mut person = app.verified("ada@vanished.example").await;
    app.outbox_is_empty().await;
    assert!(succeed(&writes(&person).await), "the pool is full of connections");

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
