//! The way to a PostgreSQL: where it is, and why it cannot be had.
//!
//! A pool tries again until its time is over, and then says no more than that it is: the reason is asked for once more,
//! with one connection of its own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};
use sea_orm::{DbErr, RuntimeErr};
use tokio::time::timeout;

use super::refusal::{probe_reason, source};
use crate::config;
use crate::health::Reason;

/// How long the one connection may take that is made for its error: TCP, TLS and the log-in, over a slow line.
const DIRECT_WITHIN: Duration = Duration::from_secs(3);

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A name or an address, and a port.
    Tcp(String, u16),
    /// A socket of this machine.
    Socket(PathBuf),
}

impl Place {
    /// Of the server that `database.url` names; none for SQLite.
    pub fn of(config: &config::Database) -> Option<Self> {
        if config.is_sqlite() {
            return None;
        }
        let options = super::url::postgres(config.url.expose()).ok()?;
        let (host, port) = (options.get_host(), options.get_port());
        let folder = options.get_socket().cloned();
        let folder = folder.or_else(|| host.starts_with('/').then(|| PathBuf::from(host)));
        Some(match folder {
            Some(folder) => Self::Socket(folder.join(format!(".s.PGSQL.{port}"))),
            None => Self::Tcp(host.trim_matches(['[', ']']).to_owned(), port),
        })
    }
}

/// Why the pool could not connect to `url`: its own error, or where it only ran out of time, that of a connection alone.
pub(super) async fn reason(url: &str, error: DbErr) -> DbErr {
    let is_late = matches!(error, DbErr::ConnectionAcquire(_))
        || source(&error).is_some_and(|it| matches!(it, sqlx::Error::PoolTimedOut));
    if !is_late {
        return error;
    }
    // Where it works, it does not in the time that a request has.
    of_direct_connection(url).await.unwrap_or(error)
}

/// The reason why a pool gives no connection in time: that of a connection alone. None where that one works, so that
/// it is the pool that is exhausted.
pub async fn of_exhausted_pool(config: &config::Database) -> Option<(Reason, DbErr)> {
    let url = config.url.expose();
    let error = of_direct_connection(url).await?;
    Some((probe_reason(&error)?, super::url::redacted(url, error)))
}

/// What a connection of its own meets; none where it can be made, and for SQLite.
async fn of_direct_connection(url: &str) -> Option<DbErr> {
    let options = super::url::postgres(url).ok()?;
    let why = match timeout(DIRECT_WITHIN, options.connect()).await {
        Ok(Ok(connection)) => {
            let _ = timeout(DIRECT_WITHIN, connection.close()).await;
            return None;
        }
        Ok(Err(why)) => why,
        Err(_) => {
            let text = format!("no answer within {} s", DIRECT_WITHIN.as_secs());
            sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
        }
    };
    Some(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(why))))
}

/// Whether the database is away, by what a statement or a connection says; else it answered, and refused.
pub fn is_unreachable(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) {
        return true;
    }
    match source(error) {
        Some(sqlx::Error::Database(said)) => said.code().is_some_and(|code| is_of_the_end(&code)),
        Some(
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed,
        ) => true,
        _ => false,
    }
}

/// Codes of a PostgreSQL that ends, starts, or cuts a connection: class 08, `admin_shutdown`, `crash_shutdown`,
/// `cannot_connect_now`.
fn is_of_the_end(code: &str) -> bool {
    code.starts_with("08") || ["57P01", "57P02", "57P03"].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn place(url: &str) -> Option<Place> {
        let url = Secret::new(url.to_owned());
        Place::of(&config::Database { url, auto_migrate: false, max_connections: 1 })
    }

    #[test]
    fn a_server_is_found_by_name_address_or_socket() {
        let tcp = |host: &str, port| Some(Place::Tcp(host.to_owned(), port));
        assert_eq!(place("postgres://ada:x@db.example/latchkey"), tcp("db.example", 5432));
        assert_eq!(place("postgres://ada:x@[::1]:7/latchkey"), tcp("::1", 7));
        let socket = Some(Place::Socket("/run/pg/.s.PGSQL.6".into()));
        assert_eq!(place("postgres://ada@%2Frun%2Fpg:6/latchkey"), socket);
        assert_eq!(place("postgres://ada@localhost:6/latchkey?host=/run/pg"), socket);
        assert_eq!(place("sqlite://latchkey.db"), None);
    }

    #[test]
    fn an_outage_is_told_from_a_refusal() {
        let query = |it| DbErr::Query(RuntimeErr::SqlxError(Arc::new(it)));
        let away = [
            query(sqlx::Error::Io(io::ErrorKind::ConnectionReset.into())),
            query(sqlx::Error::PoolTimedOut),
            DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout),
        ];
        assert!(away.iter().all(is_unreachable));
        let there = [query(sqlx::Error::RowNotFound), DbErr::Custom("x".into())];
        assert!(!there.iter().any(is_unreachable));
        assert!(["57P01", "57P03", "08006"].into_iter().all(is_of_the_end));
        assert!(!["23505", "42501", "57014"].into_iter().any(is_of_the_end));
    }
}
