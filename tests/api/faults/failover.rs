//! Tests with a PostgreSQL that responds but accepts no writes: a standby to which the host name
//! now leads, a server that was set to read only, and a server that cuts its connections. The
//! daemon closes its connections to such a server, and writes succeed again when a server accepts
//! them.

use hyper::Method;
use latchkey_entity::user;
use sea_orm::{Database, EntityTrait as _, PaginatorTrait as _};
use serde_json::json;

use super::{HEALED, becomes_degraded, becomes_ready, heals, is_unavailable, through, timed};
use crate::app::{Backend, TestApp};
use crate::client::{Answer, Person};
use crate::poll::eventually;
use crate::servers::{PrivateServer, Signal};

const DATABASE: &str = "database";

/// The number of writes that must succeed in a row after the server accepts writes again. It is
/// larger than the number of connections in the pool.
const WRITES: usize = 30;

async fn start(url: &str) -> TestApp {
    TestApp::builder(Backend::Servers).set("database.url", url).start().await
}

/// Sends a request that writes to the database and to no other store.
async fn write(person: &Person) -> Answer {
    let name = json!({ "name": "Ada" });
    timed("a write", person.as_user().json(Method::PATCH, "/api/me", name)).await.1
}

/// Waits until a write succeeds, for at most [`HEALED`]. After that, every write must succeed.
async fn writes_resume(person: &Person) {
    eventually("a write", HEALED, async || (write(person).await.status == 200).then_some(())).await;
    for _ in 0..WRITES {
        write(person).await.expect(200);
    }
}

/// Waits until a standby has the rows of all these users.
async fn follows(standby: &PrivateServer, people: u64) {
    let db = Database::connect(standby.url()).await.expect("connected");
    eventually("replication", HEALED, async || {
        (user::Entity::find().count(&db).await.ok()? == people).then_some(())
    })
    .await;
    db.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_standby_are_not_kept_when_the_name_leads_to_the_primary_again_on_servers()
{
    let primary = PrivateServer::postgres().await;
    let standby = PrivateServer::standby_of(&primary).await;
    let (proxy, url) = through(&primary.url()).await;
    let app = start(&url).await;
    let mut person = app.verified("ada@moved.example").await;
    follows(&standby, 1).await;

    proxy.move_to(standby.address());
    proxy.cut();
    eventually("the cut", HEALED, async || (person.me().await.status == 503).then_some(())).await;
    proxy.heal();
    for _ in 0..3 {
        is_unavailable(("a write", write(&person).await));
        // The data of a standby is older than the data of the primary. A read from the standby
        // could therefore accept a user whose session has ended.
        is_unavailable(timed("a reading", person.me()).await);
    }
    becomes_degraded(&app, DATABASE, "read-only").await;

    // New connections go to the primary again. The connections to the standby stay open.
    proxy.move_to(primary.address());
    writes_resume(&person).await;
    becomes_ready(&app).await;
    heals(&app, &mut person).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_resume_after_the_promotion_of_a_standby_on_servers() {
    let mut primary = PrivateServer::postgres().await;
    let standby = PrivateServer::standby_of(&primary).await;
    let (proxy, url) = through(&primary.url()).await;
    let app = start(&url).await;
    let mut person = app.verified("ada@promoted.example").await;
    app.outbox_is_empty().await;
    let stale = person.clone();
    person.login().await.expect(200);
    follows(&standby, 1).await;

    primary.signal(Signal::Quit);
    proxy.move_to(standby.address());
    eventually("the end of the primary", HEALED, async || {
        (write(&person).await.status == 503).then_some(())
    })
    .await;
    becomes_degraded(&app, DATABASE, "read-only").await;

    standby.promote();
    writes_resume(&person).await;
    becomes_ready(&app).await;
    stale.me().await.expect(200);
    app.register("new@promoted.example").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_set_to_read_only_is_found_and_left_and_used_again_on_servers() {
    let server = PrivateServer::postgres().await;
    let app = start(&server.url()).await;
    let mut person = app.verified("ada@read-only.example").await;
    server.sql("ALTER SYSTEM SET default_transaction_read_only = on").await;
    server.sql("SELECT pg_reload_conf()").await;
    becomes_degraded(&app, DATABASE, "read-only").await;
    is_unavailable(("a write", write(&person).await));
    is_unavailable(timed("a reading", person.me()).await);

    server.sql("ALTER SYSTEM SET default_transaction_read_only = off").await;
    server.sql("SELECT pg_reload_conf()").await;
    writes_resume(&person).await;
    becomes_ready(&app).await;
    heals(&app, &mut person).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_connections_that_are_cut_one_request_is_lost_at_most_on_servers() {
    let server = PrivateServer::postgres().await;
    let app = start(&server.url()).await;
    let person = app.verified("ada@cut.example").await;
    for _ in 0..3 {
        // These requests together use every connection of the pool.
        let many = (0..12).map(|_| write(&person));
        for answer in futures_util::future::join_all(many).await {
            answer.expect(200);
        }
        server
            .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'latchkey'")
            .await;
        let mut lost = 0;
        for _ in 0..WRITES {
            lost += usize::from(write(&person).await.status != 200);
        }
        assert!(lost <= 1, "{lost} requests were lost");
    }
    becomes_ready(&app).await;
    app.finish().await;
}

/// The daemon updates the probe row by itself at its own interval. Therefore a request to `/readyz`
/// sends no statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_readiness_asks_no_database_embedded() {
    let app = TestApp::start(Backend::Embedded).await;
    app.outbox_is_empty().await;
    let before = app.inside().db.statements();
    for _ in 0..200 {
        app.admin().get("/readyz").await.expect(200);
    }
    let asked = app.inside().db.statements() - before;
    assert!(asked < 100, "{asked} statements for 200 questions");
    app.finish().await;
}

/// On SQLite the first request that gets the error sets the state to read-only. The next successful
/// probe resets the state.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_takes_no_writes_is_told_and_heals_embedded() {
    use sea_orm::ConnectionTrait as _;
    let app = TestApp::start(Backend::Embedded).await;
    let mut person = app.verified("ada@read-only.example").await;
    app.outbox_is_empty().await;
    let writer = app.inside().db.writer();
    writer.execute_unprepared("PRAGMA query_only = ON").await.expect("set");
    is_unavailable(("a write", write(&person).await));
    let ready = app.admin().get("/readyz").await.expect(200).json();
    assert_eq!(
        (&ready["status"], &ready["reasons"]),
        (&json!("degraded"), &json!({ "database": "read-only", "tokenStore": "read-only" }))
    );
    becomes_degraded(&app, DATABASE, "read-only").await;
    writer.execute_unprepared("PRAGMA query_only = OFF").await.expect("set");
    becomes_ready(&app).await;
    heals(&app, &mut person).await;
    app.finish().await;
}
