//! The statements that a request sends to PostgreSQL, and the commands that it sends to Redis.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use hyper::Method;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::{Value, json};

use super::{TIMES, within};
use crate::app::{Backend, TestApp};
use crate::people::claim;
use crate::servers::{PrivateServer, connect};

/// The servers of one test, which count what they do.
struct Counted {
    /// A connection to another database of the same PostgreSQL.
    postgres: DatabaseConnection,
    /// Every command of Redis, as a line.
    redis: Pin<Box<dyn Stream<Item = String>>>,
    servers: (PrivateServer, PrivateServer),
}

/// What one request costs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    /// The statements in PostgreSQL, with `BEGIN` and `COMMIT`.
    statements: i64,
    /// The commands for Redis. A script is one command.
    commands: usize,
}

impl PartialOrd for Cost {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        let (more, less) = (self.is_over(*other), other.is_over(*self));
        (more != less || self == other).then(|| more.cmp(&less))
    }
}

impl Cost {
    fn is_over(self, bound: Self) -> bool {
        self.statements > bound.statements || self.commands > bound.commands
    }
}

impl Counted {
    async fn start() -> (Self, TestApp) {
        let preload = ["-c", "shared_preload_libraries=pg_stat_statements"];
        let postgres = PrivateServer::postgres_with(preload.map(str::to_owned).to_vec()).await;
        postgres.sql("CREATE DATABASE latchkey").await;
        postgres.sql("CREATE EXTENSION pg_stat_statements").await;
        let redis = PrivateServer::redis().await;
        let client = redis::Client::open(redis.url()).expect("a URL");
        let monitor = client.get_async_monitor().await.expect("it answers");
        let app = TestApp::builder(Backend::Servers)
            .set(
                "database.url",
                &format!("{}latchkey", postgres.url().trim_end_matches("postgres")),
            )
            .set("redis.url", &redis.url())
            .set("rate_limit.enabled", "true")
            .start()
            .await;
        let counts = connect(&postgres.url()).await.expect("connected");
        let lines = Box::pin(monitor.into_on_message::<String>());
        (Self { postgres: counts, redis: lines, servers: (postgres, redis) }, app)
    }

    /// How many statements PostgreSQL has run for the daemon.
    async fn statements(&self) -> i64 {
        let sql = "SELECT sum(calls)::bigint AS calls FROM pg_stat_statements s \
                   JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = 'latchkey' AND s.toplevel";
        let statement = Statement::from_string(self.postgres.get_database_backend(), sql);
        let row = self.postgres.query_one_raw(statement).await.expect("read").expect("a row");
        row.try_get("", "calls").expect("a number")
    }

    /// How many commands Redis has received since the last call, without those of this harness and
    /// of the daemon's probe.
    async fn commands(&mut self) -> usize {
        let _echo: String = self.servers.1.redis_command("ECHO fence").await;
        let mut count = 0;
        loop {
            let line = self.redis.next().await.expect("a line");
            if line.contains("\"ECHO\" \"fence\"") {
                return count;
            }
            let is_own = ["\"HELLO\"", "\"CLIENT\"", "\"PING\"", "\"SELECT\"", " lua]"];
            count += usize::from(!is_own.iter().any(|it| line.contains(it)));
        }
    }

    /// The cheapest of several equal requests.
    async fn cost(&mut self, mut request: impl AsyncFnMut()) -> Cost {
        let mut least: Option<Cost> = None;
        for _ in 0..TIMES {
            let _before = self.commands().await;
            let before = self.statements().await;
            request().await;
            let statements = self.statements().await - before;
            let cost = Cost { statements, commands: self.commands().await };
            least = Some(least.map_or(cost, |least| Cost {
                statements: least.statements.min(cost.statements),
                commands: least.commands.min(cost.commands),
            }));
        }
        least.expect("it was sent")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sends_no_more_to_its_stores_than_its_bound() {
    let (mut counted, app) = Counted::start().await;
    let mut ada = app.verified("ada@example.org").await;
    app.outbox_is_empty().await;
    let login = json!({ "email": ada.email, "password": ada.password });
    let first = app.anonymous().0.post_json("/api/login", login.clone()).await;
    let device = first.headers["x-latchkey-device"].to_str().expect("a text").to_owned();
    let known = app.anonymous().0.header("x-latchkey-device", &device);
    app.outbox_is_empty().await;
    let team = claim(&ada, "tid");
    let bound = |statements, commands| Cost { statements, commands };
    let mut figures = Vec::new();
    for (path, most) in [
        ("/.well-known/jwks.json", bound(0, 0)),
        ("/api/me", bound(1, 1)),
        ("/api/sessions", bound(2, 2)),
        ("/api/teams", bound(5, 1)),
    ] {
        let client = ada.as_user();
        let cost = counted.cost(async || drop(client.get(path).await.expect(200))).await;
        figures.push((path, cost, most));
    }
    let members = format!("/api/teams/{team}/members");
    let client = ada.as_user();
    let cost = counted.cost(async || drop(client.get(&members).await.expect(200))).await;
    figures.push(("members", cost, bound(5, 1)));
    let client = ada.as_vault();
    let cost = counted.cost(async || drop(client.get("/api/forward-auth").await.expect(200))).await;
    figures.push(("forward-auth", cost, bound(1, 1)));
    let cost = counted.cost(async || drop(ada.refresh().await.expect(200))).await;
    figures.push(("refresh", cost, bound(1, 2)));
    let cost = counted.cost(async || drop(ada.switch(&team, json!({})).await.expect(200))).await;
    figures.push(("switch", cost, bound(5, 3)));
    let cost = counted.cost(async || drop(app.anonymous().exists("eve@example.org").await)).await;
    figures.push(("exist-email", cost, bound(1, 0)));
    let cost = counted.cost(async || {
        let login = known.json(Method::POST, "/api/login", Value::clone(&login)).await;
        login.expect(200);
    });
    figures.push(("login", cost.await, bound(8, 3)));
    app.finish().await;
    within(&figures);
}
