//! Tests of row-level security between teams (ADR 6). The tests use their own database connection,
//! without the code of latchkey.

use hyper::Method;
use latchkey::database::tenant_scope;
use sea_orm::{
    ConnectionTrait as _, Database, DatabaseBackend, DatabaseConnection, Statement,
    TransactionTrait as _,
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Backend, TestApp, both};
use crate::client::{Client, Person, claims};
use crate::installation::{Installation, Roles, Route};
use crate::people::{claim, id_of, join, people};

/// Tables that have a team id and no row-level security, each with the reason.
const UNWALLED: [(&str, &str); 1] = [(
    "audit_streams",
    "a chain is appended to by whoever acts, verified and swept as a whole; it outlives its team, and no request reads it",
)];

/// Returns every table with a team id, as the database reports it, except the tables in
/// [`UNWALLED`]. A new table must have row-level security or be in that list with a reason.
async fn walled(db: &DatabaseConnection) -> Vec<String> {
    let sql = "SELECT table_name::text FROM information_schema.columns WHERE column_name = 'team_id' \
         AND table_schema = current_schema() UNION SELECT 'teams' ORDER BY 1";
    let statement = Statement::from_string(DatabaseBackend::Postgres, sql);
    let rows = db.query_all_raw(statement).await.expect("a valid query");
    let tables = rows.iter().map(|row| row.try_get_by_index(0).expect("a name"));
    tables.filter(|name: &String| UNWALLED.iter().all(|(other, _)| name != other)).collect()
}

/// Opens a second connection with the daemon's own role.
async fn plain(url: &str) -> DatabaseConnection {
    Database::connect(url).await.expect("connected")
}

/// Puts a transaction into a tenant scope.
async fn enter(tx: &impl sea_orm::ConnectionTrait, scope: &str, value: &str) {
    let enter = format!("SELECT latchkey_enter('{scope}', '{value}')");
    tx.execute_unprepared(&enter).await.expect("entered");
}

async fn number(db: &impl sea_orm::ConnectionTrait, sql: &str) -> i64 {
    let statement = Statement::from_string(DatabaseBackend::Postgres, sql);
    let row = db.query_one_raw(statement).await.expect("a valid query").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

/// Tries to write a row of each kind into the other team. The transaction has the scope of the
/// user's own team. PostgreSQL must refuse each of these rows.
async fn nothing_is_put_into(
    db: &DatabaseConnection,
    (mine, hers): (&str, &str),
    (ada, eve): (&Person, &Person),
) {
    let (me, now, id) = (id_of(ada), 0, Uuid::from_u128(7));
    for insert in [
        format!("teams (id, name, slug, created_at) VALUES ('{id}', 'x', 'x', {now})"),
        format!(
            "projects (id, team_id, name, slug, created_at) VALUES ('{id}', '{hers}', 'x', 'x', {now})"
        ),
        format!(
            "memberships (id, team_id, user_id, role, epoch, created_at) VALUES ('{id}', '{hers}', '{me}', 'owner', 0, {now})"
        ),
        format!(
            "invitations (id, team_id, email, email_normal, role, digest, created_at, expires_at) \
             VALUES ('{id}', '{hers}', 'x@example.org', 'x@example.org', 'owner', 'x', {now}, {now})"
        ),
        format!(
            "project_keys (id, team_id, project_id, name, scopes, digest, created_at) \
             VALUES ('{id}', '{hers}', '{}', 'x', 'team:own', 'x', {now})",
            claim(eve, "pid")
        ),
    ] {
        let tx = db.begin().await.expect("begun");
        enter(&tx, "team", mine).await;
        let refused = tx.execute_unprepared(&format!("INSERT INTO {insert}")).await;
        let refused = refused.expect_err("into another team");
        assert!(refused.to_string().contains("row-level security"), "{insert}: {refused}");
        tx.rollback().await.expect("rolled back");
    }
}

mod another_teams_rows_are_not_there_on_servers {
    use super::another_teams_rows_are_not_there;
    use crate::installation::{Roles, Route};

    #[tokio::test(flavor = "multi_thread")]
    async fn with_one_role() {
        another_teams_rows_are_not_there(Roles::One, Route::Direct).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn with_two_roles() {
        another_teams_rows_are_not_there(Roles::Two, Route::Direct).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn with_one_role_behind_pgbouncer() {
        another_teams_rows_are_not_there(Roles::One, Route::PgBouncer).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn with_two_roles_behind_pgbouncer() {
        another_teams_rows_are_not_there(Roles::Two, Route::PgBouncer).await;
    }
}

async fn another_teams_rows_are_not_there(roles: Roles, route: Route) {
    let installation = Installation::create(roles, route).await;
    let url = &installation.serving;
    let app = TestApp::builder(Backend::Servers).set("database.url", url).start().await;
    assert!(
        !tenant_scope::is_bypassed(&app.inside().db).await.expect("asked"),
        "the role is plain"
    );
    let [ada, eve] = people(&app, ["ada", "eve"]).await;
    let (mine, hers) = (claim(&ada, "tid"), claim(&eve, "tid"));
    join(&app, &mine, &eve, "viewer").await;
    let (key, _) = (ada.make_key(&["vault:read"]).await, eve.make_key(&["vault:read"]).await);

    let db = plain(url).await;
    let walled = walled(&db).await;
    assert!(walled.len() >= 5, "{walled:?}");
    for table in &walled {
        assert_eq!(number(&db, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        let forced = format!(
            "SELECT count(*) FROM pg_class WHERE relname = '{table}' AND relrowsecurity AND relforcerowsecurity"
        );
        assert_eq!(number(&db, &forced).await, 1, "{table}");
    }

    let tx = db.begin().await.expect("begun");
    enter(&tx, "team", &mine).await;
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

    nothing_is_put_into(&db, (&mine, &hers), (&ada, &eve)).await;

    // In the scope of a user, a transaction can only read, and it can read only the user's teams
    // and memberships.
    let tx = db.begin().await.expect("begun");
    enter(&tx, "user", &id_of(&eve)).await;
    assert_eq!(number(&tx, "SELECT count(*) FROM teams").await, 2);
    assert_eq!(number(&tx, "SELECT count(*) FROM memberships").await, 2);
    let changed = tx.execute_unprepared("UPDATE memberships SET role = 'owner'").await;
    assert_eq!(changed.expect("a valid statement").rows_affected(), 0);
    tx.rollback().await.expect("rolled back");

    // A setting ends with its transaction, even on the same connection. The daemon calls functions
    // to check a session or a key. These functions leave no setting behind.
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

    // The check of a session is in the scope of the session's team for one statement. No connection
    // of the daemon stays in this scope.
    for _ in 0..20 {
        assert_eq!(ada.me().await.expect(200).json()["team"]["id"], json!(mine));
        let seen = number(app.inside().db.reader(), "SELECT count(*) FROM memberships").await;
        assert_eq!(seen, 0);
    }

    // In the scope of an invitation link or of an email address, a transaction can only read, and
    // it can read only the matching invitations and their teams.
    ada.invited(&mine, "kim@example.org", "viewer").await;
    eve.invited(&hers, "kim@example.org", "viewer").await;
    eve.invited(&hers, "lea@example.org", "viewer").await;
    let link = app.mail_to("lea@example.org").await;
    let digest = latchkey::secret::sha256(link.token().as_bytes());
    let by = [("invitation", digest.as_str(), 1), ("address", "kim@example.org", 2)];
    for (setting, value, seen) in by {
        let tx = db.begin().await.expect("begun");
        enter(&tx, setting, value).await;
        for table in ["invitations", "teams"] {
            let rows = number(&tx, &format!("SELECT count(*) FROM {table}")).await;
            assert_eq!(rows, seen, "{table} by {setting}");
        }
        for table in ["memberships", "projects", "project_keys"] {
            let sql = format!("SELECT count(*) FROM {table}");
            assert_eq!(number(&tx, &sql).await, 0, "{table} by {setting}");
        }
        for change in ["UPDATE invitations SET role = 'owner'", "DELETE FROM invitations"] {
            let changed = tx.execute_unprepared(change).await.expect("a valid statement");
            assert_eq!(changed.rows_affected(), 0, "{change} by {setting}");
        }
        tx.rollback().await.expect("rolled back");
    }
    db.close().await.expect("closed");
    app.finish().await;
}

both!(neither_a_header_nor_a_body_says_which_team_it_is, async |app| {
    let [mut ada, eve] = people(app, ["ada", "eve"]).await;
    // A header or a body must not choose the team, even if the caller is a member of the other
    // team.
    let (mine, hers) = (claim(&ada, "tid"), claim(&eve, "tid"));
    join(app, &hers, &ada, "owner").await;
    let led = |client: Client| {
        ["x-latchkey-team", "x-team-id", "x-tenant-id"]
            .into_iter()
            .fold(client, |client, name| client.header(name, &hers))
    };
    let with = |mut body: Value| {
        for name in ["teamId", "team_id", "tid", "team"] {
            body[name] = json!(hers);
        }
        body
    };
    let user = led(ada.as_user());
    let path = format!("/api/teams/{mine}");
    let made = user.post_json(&format!("{path}/projects"), with(json!({ "name": "Two" }))).await;
    let made = made.expect(200).json()["id"].as_str().expect("an id").to_owned();
    user.get(&format!("{path}/projects/{made}")).await.expect(200);
    user.get(&format!("/api/teams/{hers}/projects/{made}")).await.expect(404);
    let renamed = user.json(Method::PATCH, &path, with(json!({ "name": "Acme" }))).await;
    assert_eq!(renamed.expect(200).json()["id"], json!(mine));
    assert_eq!(user.get("/api/me").await.expect(200).json()["team"]["id"], json!(mine));
    let switched = user.post_json(&format!("{path}/switch"), with(json!({}))).await.expect(200);
    assert_eq!(claims(&switched.tokens().vault)["tid"], json!(mine));
    let refreshed = user.get("/api/refresh").await.expect(200);
    ada.keep(refreshed.tokens());
    assert_eq!(claim(&ada, "tid"), mine);
    let passed = led(ada.as_vault()).get("/api/forward-auth").await.expect(200);
    assert_eq!(passed.header("x-latchkey-team"), Some(mine.as_str()));
    let key = ada.make_key(&["vault:read"]).await;
    let fields = [("grant_type", "client_credentials"), ("team_id", &hers), ("tid", &hers)];
    let token = led(key.client(app)).post_form("/api/token", &fields).await.expect(200).json();
    let token = token["access_token"].as_str().expect("a token");
    assert_eq!(claims(token)["tid"], json!(mine));
});

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_goes_round_the_wall_is_known_on_servers() {
    let server = crate::servers::PrivateServer::postgres().await;
    let app = TestApp::builder(Backend::Servers).set("database.url", &server.url()).start().await;
    assert!(
        tenant_scope::is_bypassed(&app.inside().db).await.expect("asked"),
        "postgres is a superuser"
    );
    app.finish().await;
}
