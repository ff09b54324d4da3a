//! A PostgreSQL that answers and takes no writes: a standby that a name leads to, a server that was set to read only, one
//! that cuts its connections. Connections to it are not kept, and writes resume when a server takes them.

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

/// Writes in a row, after the server takes them again: more than there are connections in the pool.
const WRITES: usize = 30;

async fn start(url: &str) -> TestApp {
    TestApp::builder(Backend::Servers).set("database.url", url).start().await
}

/// A request that writes to the database alone.
async fn write(person: &Person) -> Answer {
    let name = json!({ "name": "Ada" });
    timed("a write", person.as_user().json(Method::PATCH, "/api/me", name)).await.1
}

/// Writes succeed within the time in which everything heals, and then every time.
async fn writes_resume(person: &Person) {
    eventually("a write", HEALED, async || (write(person).await.status == 200).then_some(())).await;
    for _ in 0..WRITES {
        write(person).await.expect(200);
    }
}

/// Waits until a standby has everything of these people.
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
        // What a standby says is late: somebody who was thrown out might be let in.
        is_unavailable(timed("a reading", person.me()).await);
    }
    becomes_degraded(&app, DATABASE, "read-only").await;

    // Connections to the standby stay open.
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
        // Fills the pool.
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

/// The row of the probe is the daemon's matter: asking for it costs no store anything.
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

/// SQLite: the state comes with the first request that meets it, and goes with the probe.
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
