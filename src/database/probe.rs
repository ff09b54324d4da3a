//! Finds out where a PostgreSQL server listens, and why a connection to it fails.
//!
//! A pool tries to connect until its time is over, and its error says only that the time is over.
//! So one more connection is opened outside of the pool, because its error says why the connection
//! fails.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};
use sea_orm::{DbErr, RuntimeErr};
use tokio::time::timeout;

use super::refusal::{consequence, probe_reason, source};
use super::server_error::{redacted, without_line};
use crate::config;
use crate::health::Reason;

/// How long the direct connection may take: TCP, TLS and the login, over a slow line.
const DIRECT_WITHIN: Duration = Duration::from_secs(3);

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A host name or an IP address, and a port.
    Tcp(String, u16),
    /// A Unix socket on this machine.
    Socket(PathBuf),
}

impl Endpoint {
    /// Where the server of `database.url` listens. `None` for SQLite.
    pub fn of(config: &config::Database) -> Option<Self> {
        if config.is_sqlite() {
            return None;
        }
        let options = super::url::postgres(config).ok()?;
        let (host, port) = (options.get_host(), options.get_port());
        let folder = options.get_socket().cloned();
        let folder = folder.or_else(|| host.starts_with('/').then(|| PathBuf::from(host)));
        Some(match folder {
            Some(folder) => Self::Socket(folder.join(format!(".s.PGSQL.{port}"))),
            None => Self::Tcp(host.to_owned(), port),
        })
    }
}

/// Why the pool could not connect: the pool's error, or the error of one direct connection
/// if the pool only ran out of time.
pub(super) async fn reason(config: &config::Database, error: DbErr) -> DbErr {
    let is_late = matches!(error, DbErr::ConnectionAcquire(_))
        || source(&error).is_some_and(|it| matches!(it, sqlx::Error::PoolTimedOut));
    if !is_late {
        return error;
    }
    // If the direct connection works, connecting takes longer than a request can wait.
    of_direct_connection(config).await.unwrap_or(error)
}

/// The reason why a pool gives no connection in time, from one direct connection. `None` if that
/// connection works, because then the pool is exhausted.
pub async fn of_exhausted_pool(config: &config::Database) -> Option<(Reason, DbErr)> {
    let error = of_direct_connection(config).await?;
    Some((probe_reason(&error)?, redacted(config, error)))
}

/// The error of one direct connection. `None` if the connection works, and for SQLite.
async fn of_direct_connection(config: &config::Database) -> Option<DbErr> {
    if config.is_sqlite() {
        return None;
    }
    let options = super::url::postgres(config).ok()?;
    let why = match timeout(DIRECT_WITHIN, options.connect()).await {
        Ok(Ok(connection)) => {
            let _ = timeout(DIRECT_WITHIN, connection.close()).await;
            return None;
        }
        Ok(Err(why)) => why,
        Err(_) => {
            let text = format!("no response within {} s", DIRECT_WITHIN.as_secs());
            sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
        }
    };
    Some(without_line(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(why)))))
}

/// Whether an error means that the database cannot be reached. If not, the database responded, but
/// refused.
pub fn is_unreachable(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) {
        return true;
    }
    if matches!(source(error), Some(sqlx::Error::PoolClosed)) {
        return true;
    }
    let reason = consequence(error).reason;
    matches!(reason, Some(Reason::Unreachable | Reason::Starting | Reason::Timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Option<Endpoint> {
        Endpoint::of(&config::Database::at(url))
    }

    #[test]
    fn a_server_is_found_by_name_address_or_socket() {
        let tcp = |host: &str, port| Some(Endpoint::Tcp(host.to_owned(), port));
        assert_eq!(endpoint("postgres://ada:x@db.example/latchkey"), tcp("db.example", 5432));
        assert_eq!(endpoint("postgres://ada:x@[::1]:7/latchkey"), tcp("::1", 7));
        let socket = Some(Endpoint::Socket("/run/pg/.s.PGSQL.6".into()));
        assert_eq!(endpoint("postgres://ada@%2Frun%2Fpg:6/latchkey"), socket);
        assert_eq!(endpoint("postgres://ada@localhost:6/latchkey?host=/run/pg"), socket);
        assert_eq!(endpoint("postgresql:///latchkey?host=/run/pg&port=6"), socket);
        assert_eq!(endpoint("sqlite://latchkey.db"), None);
    }

    #[test]
    fn an_outage_is_not_taken_for_a_refusal() {
        let query = |it| DbErr::Query(RuntimeErr::SqlxError(Arc::new(it)));
        let away = [
            query(sqlx::Error::Io(io::ErrorKind::ConnectionReset.into())),
            query(sqlx::Error::PoolTimedOut),
            DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout),
        ];
        assert!(away.iter().all(is_unreachable));
        let there = [query(sqlx::Error::RowNotFound), DbErr::Custom("x".into())];
        assert!(!there.iter().any(is_unreachable));
    }
}
