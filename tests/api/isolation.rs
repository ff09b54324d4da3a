//! The wall between teams below the code: row-level security, seen by a plain connection of its own.

use latchkey::tenancy::wall;
use sea_orm::{
    ConnectionTrait as _, Database, DatabaseBackend, DatabaseConnection, Statement,
    TransactionTrait as _,
};

use crate::app::{Backend, TestApp};
use crate::people::{claim, id_of, join, people};
use crate::servers::TestDatabase;

/// The tables behind the wall.
const WALLED: [&str; 5] = ["teams", "projects", "memberships", "invitations", "project_keys"];

/// A second connection with the daemon's own plain role, which owns the tables.
async fn plain(url: &str) -> DatabaseConnection {
    Database::connect(url).await.expect("connected")
}

async fn number(db: &impl sea_orm::ConnectionTrait, sql: &str) -> i64 {
    let statement = Statement::from_string(DatabaseBackend::Postgres, sql);
    let row = db.query_one_raw(statement).await.expect("a valid query").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_teams_rows_are_not_there_on_servers() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let app = TestApp::builder(Backend::Servers).set("database.url", &url).start().await;
    assert!(!wall::is_bypassed(&app.inside().db).await.expect("asked"), "the role is plain");
    let [ada, eve] = people(&app, ["ada", "eve"]).await;
    let (mine, hers) = (claim(&ada, "tid"), claim(&eve, "tid"));
    join(&app, &mine, &eve, "viewer").await;
    let (key, _) = (ada.make_key(&["vault:read"]).await, eve.make_key(&["vault:read"]).await);

    let db = plain(&url).await;
    for table in WALLED {
        assert_eq!(number(&db, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        let forced = format!(
            "SELECT count(*) FROM pg_class WHERE relname = '{table}' AND relrowsecurity AND relforcerowsecurity"
        );
        assert_eq!(number(&db, &forced).await, 1, "{table}");
    }

    let tx = db.begin().await.expect("begun");
    tx.execute_unprepared(&format!("SELECT set_config('latchkey.team', '{mine}', true)"))
        .await
        .expect("set");
    assert_eq!(number(&tx, "SELECT count(*) FROM teams").await, 1);
    assert_eq!(number(&tx, "SELECT count(*) FROM projects").await, 1);
    assert_eq!(number(&tx, "SELECT count(*) FROM memberships").await, 2);
    let theirs = format!("SELECT count(*) FROM teams WHERE id = '{hers}'");
    assert_eq!(number(&tx, &theirs).await, 0);
    for change in [
        format!("UPDATE teams SET name = 'x' WHERE id = '{hers}'"),
        format!("DELETE FROM projects WHERE team_id = '{hers}'"),
        format!("UPDATE memberships SET role = 'owner' WHERE team_id = '{hers}'"),
    ] {
        let changed = tx.execute_unprepared(&change).await.expect("a valid statement");
        assert_eq!(changed.rows_affected(), 0, "{change}");
    }
    let smuggled = format!("UPDATE projects SET team_id = '{hers}'");
    let refused = tx.execute_unprepared(&smuggled).await.expect_err("out of the team");
    assert!(refused.to_string().contains("row-level security"), "{refused}");
    tx.rollback().await.expect("rolled back");

    // By person: what they are in, to read alone.
    let tx = db.begin().await.expect("begun");
    tx.execute_unprepared(&format!("SELECT set_config('latchkey.user', '{}', true)", id_of(&eve)))
        .await
        .expect("set");
    assert_eq!(number(&tx, "SELECT count(*) FROM teams").await, 2);
    assert_eq!(number(&tx, "SELECT count(*) FROM memberships").await, 2);
    let changed = tx.execute_unprepared("UPDATE memberships SET role = 'owner'").await;
    assert_eq!(changed.expect("a valid statement").rows_affected(), 0);
    tx.rollback().await.expect("rolled back");

    // What a transaction said ends with it, also on the same connection; the session check's function leaves nothing.
    let look = format!(
        "SELECT count(*) FROM latchkey_membership('{}', NULL, NULL) m, teams t",
        id_of(&eve)
    );
    assert_eq!(number(&db, &look).await, 0);
    assert_eq!(number(&db, "SELECT count(*) FROM memberships").await, 0);
    let look = format!("SELECT count(*) FROM latchkey_project_key('{}') k, teams t", key.id);
    assert_eq!(number(&db, &look).await, 0);
    let look = format!("SELECT count(*) FROM latchkey_project_key('{}')", key.id);
    assert_eq!(number(&db, &look).await, 1);
    assert_eq!(number(&db, "SELECT count(*) FROM project_keys").await, 0);

    // By key: the one row and its team, to read alone.
    let tx = db.begin().await.expect("begun");
    tx.execute_unprepared(&format!("SELECT set_config('latchkey.key', '{}', true)", key.id))
        .await
        .expect("set");
    assert_eq!(number(&tx, "SELECT count(*) FROM project_keys").await, 1);
    assert_eq!(number(&tx, "SELECT count(*) FROM teams").await, 1);
    assert_eq!(number(&tx, "SELECT count(*) FROM projects").await, 0);
    let changed = tx.execute_unprepared("UPDATE project_keys SET scopes = 'team:own'").await;
    assert_eq!(changed.expect("a valid statement").rows_affected(), 0);
    tx.rollback().await.expect("rolled back");
    // By link, and by address: the invitation and its team, to read alone.
    ada.invited(&mine, "kim@example.org", "viewer").await;
    eve.invited(&hers, "kim@example.org", "viewer").await;
    eve.invited(&hers, "lea@example.org", "viewer").await;
    let link = app.mail_to("lea@example.org").await;
    let digest = latchkey::secret::sha256(link.token().as_bytes());
    let by = [("invitation", digest.as_str(), 1), ("address", "kim@example.org", 2)];
    for (setting, value, seen) in by {
        let tx = db.begin().await.expect("begun");
        let set = format!("SELECT set_config('latchkey.{setting}', '{value}', true)");
        tx.execute_unprepared(&set).await.expect("set");
        for table in ["invitations", "teams"] {
            let rows = number(&tx, &format!("SELECT count(*) FROM {table}")).await;
            assert_eq!(rows, seen, "{table} by {setting}");
        }
        assert_eq!(number(&tx, "SELECT count(*) FROM memberships").await, 0);
        for change in ["UPDATE invitations SET role = 'owner'", "DELETE FROM invitations"] {
            let changed = tx.execute_unprepared(change).await.expect("a valid statement");
            assert_eq!(changed.rows_affected(), 0, "{change} by {setting}");
        }
        tx.rollback().await.expect("rolled back");
    }
    db.close().await.expect("closed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_goes_round_the_wall_is_known_on_servers() {
    let server = crate::servers::PrivateServer::postgres().await;
    let app = TestApp::builder(Backend::Servers).set("database.url", &server.url()).start().await;
    assert!(wall::is_bypassed(&app.inside().db).await.expect("asked"), "postgres is a superuser");
    app.finish().await;
}
