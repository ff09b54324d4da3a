//! Tests of what the prober reports for a probe that neither succeeds nor is refused.

use latchkey::health::Reason;
use sea_orm::{ConnectionTrait as _, Database, TransactionTrait as _};

use super::{HEALED, becomes_degraded, becomes_ready};
use crate::app::{Backend, TestApp, both};
use crate::ask::sql;
use crate::poll::eventually;
use crate::servers::{PrivateServer, TestDatabase};

const DATABASE: &str = "database";
/// The number of requests to `/readyz`. Together they take longer than a few probes.
const READINGS: u32 = 200;

/// Checks that the database stays degraded for this reason during several probes.
async fn stays_degraded(app: &TestApp, reason: &str) {
    let mut readings = 0;
    eventually("several probes", HEALED * 3, async || {
        let ready = app.admin().get("/readyz").await.expect(200).json();
        assert_eq!(ready["reasons"][DATABASE], reason, "{ready}");
        readings += 1;
        (readings == READINGS).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_whose_row_is_locked_is_a_time_out_on_servers() {
    let database = TestDatabase::create().await;
    let builder = TestApp::builder(Backend::Servers).set("database.url", &database.url());
    let app = builder.start().await;
    becomes_ready(&app).await;
    let other = Database::connect(database.url()).await.expect("connected");
    let holder = other.begin().await.expect("begun");
    holder.execute_unprepared("UPDATE store_probe SET count = count").await.expect("locked");
    becomes_degraded(&app, DATABASE, "timeout").await;
    stays_degraded(&app, "timeout").await;
    holder.rollback().await.expect("rolled back");
    becomes_ready(&app).await;
    app.finish().await;
}

/// The commit of the first probe waits for the lost standby, and holds the lock of the row. Every
/// other commit waits for the standby too.
#[tokio::test(flavor = "multi_thread")]
async fn commits_that_wait_for_a_lost_standby_are_a_time_out_on_servers() {
    let server = PrivateServer::postgres().await;
    let builder = TestApp::builder(Backend::Servers).set("database.url", &server.url());
    let app = builder.start().await;
    becomes_ready(&app).await;
    app.outbox_is_empty().await;
    server.sql("ALTER SYSTEM SET synchronous_standby_names = 'lost'").await;
    server.sql("SELECT pg_reload_conf()").await;
    becomes_degraded(&app, DATABASE, "timeout").await;
    stays_degraded(&app, "timeout").await;
    server.sql("ALTER SYSTEM RESET synchronous_standby_names").await;
    server.sql("SELECT pg_reload_conf()").await;
    becomes_ready(&app).await;
    app.finish().await;
}

both!(a_probe_without_its_table_changes_no_state, async |app| {
    becomes_ready(app).await;
    sql(app, "ALTER TABLE store_probe RENAME TO store_probe_away").await;
    app.inside().db.health().mark_down(Reason::ReadOnly);
    stays_degraded(app, "read-only").await;
    sql(app, "ALTER TABLE store_probe_away RENAME TO store_probe").await;
    becomes_ready(app).await;
});

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_another_process_locks_is_reported_as_locked_embedded() {
    let app = TestApp::start(Backend::Embedded).await;
    becomes_ready(&app).await;
    app.outbox_is_empty().await;
    let other =
        Database::connect(app.inside().config.database.url.expose()).await.expect("connected");
    other.execute_unprepared("BEGIN IMMEDIATE").await.expect("locked");
    becomes_degraded(&app, DATABASE, "locked").await;
    stays_degraded(&app, "locked").await;
    other.close().await.expect("closed");
    becomes_ready(&app).await;
    app.finish().await;
}
