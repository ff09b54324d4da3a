//! The ways in which an operator installs latchkey on PostgreSQL: with one database role or two,
//! directly or behind PgBouncer in transaction mode.
//!
//! `scripts/test` builds PgBouncer and sets `LATCHKEY_TEST_PGBOUNCER_BIN`.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use latchkey::config;
use latchkey::database::Db;
use sea_orm::Database;
use tempfile::TempDir;

use crate::poll::eventually;
use crate::postgres;
use crate::servers::{PrivateServer, free_port, must_be_told};

const START: Duration = Duration::from_secs(10);

/// A migrated PostgreSQL, and the URL of the role that serves requests.
pub struct Installation {
    /// The URL of the role `latchkey`, which serves requests.
    pub serving: String,
    /// The server's superuser.
    pub superuser: String,
    _server: PrivateServer,
    _pgbouncer: Option<PgBouncer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    One,
    /// The second role gets the rights in docs/secure.md.
    Two,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Direct,
    PgBouncer,
}

/// Returns the SQL statements in docs/secure.md, for a database with this name.
pub fn statements_for_two_roles(database: &str) -> String {
    let page = include_str!("../../docs/secure.md");
    let (_, block) = page.split_once("```sql\n").expect("a block of SQL");
    let (block, _) = block.split_once("```").expect("its end");
    block.replace(" DATABASE latchkey ", &format!(" DATABASE {database} "))
}

/// Returns the URL of the same server for another user.
pub fn as_user(url: &str, user: &str) -> String {
    let (_, host) = url.rsplit_once('@').expect("a URL with a user");
    format!("postgres://{user}@{host}")
}

impl Installation {
    pub async fn create(roles: Roles, route: Route) -> Self {
        let server = PrivateServer::postgres().await;
        let superuser = server.url();
        server.sql("CREATE ROLE latchkey LOGIN NOBYPASSRLS").await;
        server.sql("ALTER DATABASE postgres OWNER TO latchkey").await;
        let mut owner = "latchkey";
        if roles == Roles::Two {
            server.sql(&statements_for_two_roles("postgres")).await;
            owner = "latchkey_owner";
        }
        let owning = as_user(&superuser, owner);
        let settings = config::Database::at(&owning);
        let db = Db::connect(&settings).await.expect("connected");
        db.migrate().await.expect("migrated");
        let mut serving = as_user(&superuser, "latchkey");
        let pgbouncer = match route {
            Route::Direct => None,
            Route::PgBouncer => {
                let pgbouncer = PgBouncer::start(server.address().port(), &["latchkey"]).await;
                serving = pgbouncer.url("latchkey");
                Some(pgbouncer)
            }
        };
        Self { serving, superuser, _server: server, _pgbouncer: pgbouncer }
    }
}

/// A PgBouncer in transaction mode in front of one server. It is killed when the value is dropped.
struct PgBouncer {
    port: u16,
    child: Child,
    _directory: TempDir,
}

impl PgBouncer {
    /// The pool is smaller than the pool of a daemon, so that transactions of several clients share
    /// a connection.
    async fn start(server: u16, users: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let port = free_port();
        let users: Vec<String> = users.iter().map(|user| format!("\"{user}\" \"\"\n")).collect();
        fs::write(path("users.txt"), users.concat()).expect("written");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\nlogfile = {}\n\
             pool_mode = transaction\ndefault_pool_size = 3\n\
             ignore_startup_parameters = options,extra_float_digits\n",
            path("users.txt").display(),
            path("log").display(),
        );
        fs::write(path("pgbouncer.ini"), settings).expect("written");
        let program = PathBuf::from(must_be_told("LATCHKEY_TEST_PGBOUNCER_BIN"));
        let program = postgres::copy_program(&program, directory.path());
        let child = postgres::as_account(&program)
            .arg("-q")
            .arg(path("pgbouncer.ini"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("PgBouncer runs");
        let pgbouncer = Self { port, child, _directory: directory };
        let url = pgbouncer.url("latchkey");
        eventually("the start of PgBouncer", START, async || Database::connect(&url).await.ok())
            .await;
        pgbouncer
    }

    fn url(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _ended = self.child.wait();
    }
}
