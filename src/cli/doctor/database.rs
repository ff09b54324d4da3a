//! Checks the database: whether it responds, how fast, its version, its schema, and the rights of
//! latchkey's role.

use std::time::{Duration, Instant};

use latchkey_migration::Schema;

use super::{Finding, Patient, State, network, rights};
use crate::clock::{Clock, UnixMillis};
use crate::config::Config;
use crate::database::tenant_scope;
use crate::database::{Db, Endpoint, Facts, ProbeError, Refusal, probe_reason, sqlite_path};
use crate::health::{Probed, Reason};

/// The oldest version of PostgreSQL that latchkey supports. The PostgreSQL project ended the
/// maintenance of version 13 in November 2025.
const POSTGRES_MIN: i32 = 14;
/// A login makes about ten round trips to the database. If each round trip takes longer than this,
/// the user has to wait.
const LATENCY_MAX: Duration = Duration::from_millis(20);
/// How long `doctor` may read a SQLite file to find damage.
const READ_WITHIN: Duration = Duration::from_secs(8);
/// If the clocks of two machines differ by this much, every expiry time is wrong by this much.
const SKEW_WARNS_MS: i64 = 2_000;
/// One time step of an authenticator app (RFC 6238). If this machine's clock is wrong by more than
/// this, right codes are refused.
const SKEW_FAILS_MS: i64 = 30_000;

/// Connects to the database, but does not create a missing SQLite file. For a PostgreSQL server,
/// also reports the result of each step of the connection.
pub(super) async fn open(config: &Config) -> (Option<Db>, Vec<Finding>) {
    let path = sqlite_path(config.database.url.expose());
    if config.database.is_sqlite() && !path.exists() {
        let remedy = "start the daemon or run `latchkey migrate up` to create it";
        return (
            None,
            vec![Finding::warning(
                format!("the file {} does not exist yet", path.display()),
                remedy,
            )],
        );
    }
    let mut found = Vec::new();
    let is_reached = match Endpoint::of(&config.database) {
        Some(place) => reach(&place, &mut found).await,
        None => true,
    };
    if !is_reached {
        return (None, found);
    }
    match Db::connect(&config.database).await {
        Ok(db) => (Some(db), found),
        Err(error) if let Some(refusal) = Refusal::of(&error) => {
            found.push(Finding::failed(refusal.text(), refusal.fix()));
            (None, found)
        }
        Err(error) if probe_reason(&error) == Some(Reason::Certificate) => {
            let remedy = Reason::Certificate.database_fix();
            found.push(Finding::failed(format!("certificate: {error}"), remedy));
            (None, found)
        }
        Err(error) => {
            let remedy = "check the user, password, database and `sslmode` in `database.url`, and \
                 pg_hba.conf";
            found.push(Finding::failed(format!("login: {error}"), remedy));
            (None, found)
        }
    }
}

/// Resolves the name and connects. Returns whether a server accepts the connection.
async fn reach(place: &Endpoint, found: &mut Vec<Finding>) -> bool {
    let (at, connected) = match place {
        Endpoint::Tcp(host, port) => {
            let addresses = match network::resolve(host, *port).await {
                Ok(addresses) => addresses,
                Err(why) => {
                    let remedy = "correct the host in `database.url`, or check the name server";
                    found.push(Finding::failed(format!("resolve: {host}: {why}"), remedy));
                    return false;
                }
            };
            let texts: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
            found.push(Finding::ok(format!("resolve: {host} is {}", texts.join(", "))));
            (format!("{host}:{port}"), network::connect(&addresses).await)
        }
        Endpoint::Socket(path) => {
            let connected = tokio::net::UnixStream::connect(path).await;
            (path.display().to_string(), connected.map(drop).map_err(|error| error.to_string()))
        }
    };
    match connected {
        Ok(()) => found.push(Finding::ok(format!("connect: {at}"))),
        Err(why) => found.push(Finding::failed(
            format!("connect: {at}: {why}"),
            "check that the server runs and listens at this address, and that no firewall \
             blocks the connection",
        )),
    }
    found.last().is_some_and(|it| it.state == State::Ok)
}

pub(super) async fn run(patient: &Patient<'_>, mut found: Vec<Finding>) -> Vec<Finding> {
    let Some(db) = &patient.db else { return found };
    found.push(latency(db).await);
    match db.facts().await {
        Ok(facts) => assess(&facts, patient.config, Clock::System.now(), &mut found),
        Err(error) => found.push(Finding::failed(
            format!("the facts about the server cannot be read: {error}"),
            "allow the role to read the system catalogue",
        )),
    }
    match db.rights().await {
        Some(rights) => {
            rights::assess(&rights, patient.config.database.migrate_url.is_some(), &mut found);
        }
        None if db.is_postgres() => found.push(Finding::failed(
            "the rights of the role cannot be read",
            "allow the role to read the system catalogue",
        )),
        None => {}
    }
    let schema = schema(db).await;
    // The test write needs its table, so the test proves nothing while the schema is incomplete.
    if schema.state == State::Ok {
        found.push(writes(db).await);
    }
    found.push(schema);
    if !db.is_postgres() {
        found.push(whole(db).await);
    }
    if let Ok(true) = tenant_scope::is_bypassed(db).await {
        found.push(Finding::warning(
            "the role is a superuser or has BYPASSRLS, so row-level security does not restrict it",
            "use a role that owns the tables, is not a superuser and does not have BYPASSRLS: \
             CREATE ROLE latchkey LOGIN NOBYPASSRLS",
        ));
    }
    found
}

/// Reports the result of a test write. It increments the count in one row, commits, and reads the
/// count back.
async fn writes(db: &Db) -> Finding {
    let ProbeError { reason, source } = match db.probe_write().await {
        Ok(Probed::Writable) => return Finding::ok("accepts writes"),
        Ok(Probed::NoTable) => {
            return Finding::failed(
                "the table store_probe is missing",
                "run `latchkey migrate up`",
            );
        }
        Err(error) => error,
    };
    let said = source.map(|it| format!(": {it}")).unwrap_or_default();
    Finding::failed(format!("accepts no writes ({}){said}", reason.name()), reason.database_fix())
}

async fn latency(db: &Db) -> Finding {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        if let Err(error) = db.ping().await {
            let remedy = "check the server's log";
            return Finding::failed(format!("does not respond: {error}"), remedy);
        }
        best = best.min(started.elapsed());
    }
    speed(best)
}

fn speed(best: Duration) -> Finding {
    let text = format!("responds in {:.1} ms", best.as_secs_f64() * 1_000.0);
    if best > LATENCY_MAX {
        return Finding::warning(
            text,
            "run the database in the daemon's region: a login makes about ten round trips",
        );
    }
    Finding::ok(text)
}

fn assess(facts: &Facts, config: &Config, now: UnixMillis, found: &mut Vec<Finding>) {
    let version = &facts.version;
    let Some(server) = &facts.server else {
        found.push(Finding::ok(format!("SQLite {version}")));
        // With Redis, the check of the token store compares the clocks.
        if config.redis.url.is_none() {
            found.push(Finding::skipped(
                "there is no server whose clock can be compared with this machine's clock: compare \
                 `date -u` with a time server, because codes of authenticator apps are refused if \
                 the clock is wrong by more than 30 s",
            ));
        }
        return;
    };
    let text = format!("PostgreSQL {version}");
    found.push(if server.number / 10_000 < POSTGRES_MIN {
        let remedy = "upgrade PostgreSQL: its project does not maintain this version any more";
        Finding::warning(text, remedy)
    } else {
        Finding::ok(text)
    });
    found.push(skew("the database", server.clock, now));
    let wanted = i64::from(config.database.max_connections) * i64::from(config.rate_limit.replicas);
    let has = i64::from(server.connections_max);
    if wanted > has {
        found.push(Finding::warning(
            format!(
                "{} replicas may open {wanted} connections, but the role may have {has}",
                config.rate_limit.replicas
            ),
            "lower `database.max_connections`, or raise the server's max_connections or the \
             CONNECTION LIMIT of the role or the database",
        ));
    }
}

/// Checks that the SQLite file is not damaged, if the file can be read within [`READ_WITHIN`].
async fn whole(db: &Db) -> Finding {
    match tokio::time::timeout(READ_WITHIN, db.damage()).await {
        Ok(Ok(None)) => Finding::ok("the file is not damaged"),
        Ok(Ok(Some(damage))) => Finding::failed(
            format!("the file is damaged: {damage}"),
            "stop the daemon and restore the last backup",
        ),
        Ok(Err(error)) => Finding::failed(
            format!("the file cannot be read: {error}"),
            "stop the daemon and restore the last backup",
        ),
        Err(_) => Finding::skipped(
            "the file is too large for this check: run sqlite3 FILE 'PRAGMA quick_check'",
        ),
    }
}

/// Reports how far another clock is from this machine's clock.
pub(super) fn skew(whose: &str, theirs: UnixMillis, ours: UnixMillis) -> Finding {
    let off = (theirs - ours).abs();
    let text = format!("the clock of {whose} differs by {off} ms from this machine's clock");
    let remedy = "run chrony or systemd-timesyncd on both machines: codes of authenticator apps \
                  are refused if the clock of the daemon is wrong by more than 30 s";
    match off {
        off if off >= SKEW_FAILS_MS => Finding::failed(text, remedy),
        off if off >= SKEW_WARNS_MS => Finding::warning(text, remedy),
        _ => Finding::ok(text),
    }
}

async fn schema(db: &Db) -> Finding {
    match db.schema().await {
        Ok(schema) => window(&schema),
        Err(error) => {
            let remedy = if probe_reason(&error) == Some(Reason::NoPermission) {
                "allow the role to read the table seaql_migrations"
            } else {
                "if the table seaql_migrations belongs to another program, set `database.url` to a \
                 database of latchkey's own; otherwise correct what the error names"
            };
            Finding::failed(format!("the migrations cannot be read: {error}"), remedy)
        }
    }
}

fn window(schema: &Schema) -> Finding {
    if let Some(outside) = schema.beyond() {
        return Finding::failed(outside.what, outside.fix);
    }
    if schema.pending.is_empty() {
        return Finding::ok("the schema is up to date");
    }
    let lacks = format!("the schema lacks {}", schema.pending.join(", "));
    Finding::failed(lacks, "run `latchkey migrate up`")
}

#[cfg(test)]
#[path = "database_tests.rs"]
mod tests;
