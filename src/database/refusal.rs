//! What an error of the database means: whether it is an outage, and whether connections that were
//! opened before it still lead to a server that takes writes.

use sea_orm::sqlx;
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{DbErr, RuntimeErr};

use crate::authorities::is_untrusted;
use crate::health::Reason;

/// Why a new connection to a PostgreSQL server is refused, although the server is reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The server is in recovery: a standby, or a primary that was demoted.
    Standby,
    /// `default_transaction_read_only` is on, for the server, the database or the role.
    ReadOnlyByDefault,
    /// The encoding of the database is not UTF-8, so it cannot store every name.
    NotUtf8,
}

impl Refusal {
    const ALL: [Self; 3] = [Self::Standby, Self::ReadOnlyByDefault, Self::NotUtf8];

    /// The text for the log and for operators.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Standby => "the server is a standby (in recovery) and accepts no writes",
            Self::ReadOnlyByDefault => {
                "the server accepts no writes, because default_transaction_read_only is on"
            }
            Self::NotUtf8 => {
                "the encoding of the database is not UTF-8, so it cannot store every name"
            }
        }
    }

    /// What the operator can do about it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Standby => {
                "set `database.url` to the primary (a host name that always leads to it), or \
                 promote the standby: pg_ctl promote"
            }
            Self::ReadOnlyByDefault => {
                "find out why it was set (for example a full disk or maintenance), then set \
                 default_transaction_read_only to off for the server, the database and the role"
            }
            Self::NotUtf8 => {
                "create a database with UTF-8 and set `database.url` to it: createdb -E UTF8 -T \
                 template0 NAME"
            }
        }
    }

    /// The reason for `/readyz`.
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Standby | Self::ReadOnlyByDefault => Reason::ReadOnly,
            Self::NotUtf8 => Reason::Refused,
        }
    }

    /// The error of the call that needed the connection.
    pub(super) fn error(self) -> DbErr {
        DbErr::Conn(RuntimeErr::Internal(self.text().to_owned()))
    }

    /// The refusal that caused the error of a call.
    pub fn of(error: &DbErr) -> Option<Self> {
        let DbErr::Conn(RuntimeErr::Internal(text)) = error else { return None };
        Self::ALL.into_iter().find(|it| it.text() == text)
    }
}

/// What follows from an error of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Consequence {
    /// The database is out of order, for this reason.
    pub(super) reason: Option<Reason>,
    /// Connections that were opened before the error are closed, because they perhaps lead to
    /// another server or to none.
    pub(super) closes_older: bool,
    /// The prober has to check the database.
    pub(super) is_suspect: bool,
}

impl Consequence {
    const fn down(reason: Reason) -> Self {
        Self { reason: Some(reason), closes_older: false, is_suspect: true }
    }

    const fn gone(reason: Reason) -> Self {
        Self { closes_older: true, ..Self::down(reason) }
    }
}

/// The consequence of a statement's error. An error that the request itself caused has no
/// consequence.
pub(super) fn consequence(error: &DbErr) -> Consequence {
    match source(error) {
        Some(sqlx::Error::Database(said)) => of_database(said.as_ref()),
        Some(error) if is_untrusted(error) => Consequence::down(Reason::Certificate),
        Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_)) => Consequence::gone(Reason::Unreachable),
        Some(sqlx::Error::WorkerCrashed) => Consequence::down(Reason::Unreachable),
        Some(sqlx::Error::PoolTimedOut) => Consequence::down(Reason::Timeout),
        _ if matches!(error, DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout)) => {
            Consequence::down(Reason::Timeout)
        }
        _ => match Refusal::of(error) {
            Some(refusal) => Consequence::down(refusal.reason()),
            None => Consequence::default(),
        },
    }
}

/// Why a probe failed. `None` if the probe's table is missing, because then it is unknown whether
/// the database takes writes.
pub fn probe_reason(error: &DbErr) -> Option<Reason> {
    (!lacks_table(error)).then(|| consequence(error).reason.unwrap_or_else(|| of_probe(error)))
}

/// The reason of a probe's error, if the same error has no consequence when a request meets it.
///
/// `55P03` (`lock_not_available`) is a time-out: another session holds the probe's row. Perhaps
/// this session is a probe of another replica whose commit is slow. Perhaps it is an earlier probe
/// whose commit never ends, because a synchronous standby is lost. If a standby is lost, every
/// other commit waits as well.
fn of_probe(error: &DbErr) -> Reason {
    let Some(sqlx::Error::Database(said)) = source(error) else { return Reason::Refused };
    match said.code().as_deref() {
        _ if is_sqlite(said.as_ref()) => Reason::Refused,
        Some("0A000") => Reason::ReadOnly,
        Some("42501") => Reason::NoPermission,
        Some("55P03" | "57014") => Reason::Timeout,
        _ => Reason::Refused,
    }
}

/// Whether a statement failed because its table does not exist.
pub fn lacks_table(error: &DbErr) -> bool {
    let Some(sqlx::Error::Database(said)) = source(error) else { return false };
    if is_sqlite(said.as_ref()) {
        return said.message().starts_with("no such table");
    }
    said.code().as_deref() == Some("42P01")
}

fn of_database(said: &dyn DatabaseError) -> Consequence {
    let Some(code) = said.code() else { return Consequence::default() };
    if is_sqlite(said) {
        return code.parse().map(of_sqlite).unwrap_or_default();
    }
    of_postgres(&code)
}

fn is_sqlite(said: &dyn DatabaseError) -> bool {
    said.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some()
}

/// The consequence of a PostgreSQL error, by its SQLSTATE.
fn of_postgres(code: &str) -> Consequence {
    match code {
        // read_only_sql_transaction: the server was demoted, or set to read only.
        "25006" => Consequence::gone(Reason::ReadOnly),
        // feature_not_supported: "cannot set transaction read-write mode during recovery", or
        // "cached plan must not change result type" after a migration. A new connection repairs
        // both, and shows which one it was.
        "0A000" => Consequence { closes_older: true, is_suspect: true, ..Consequence::default() },
        // admin_shutdown, crash_shutdown.
        "57P01" | "57P02" => Consequence::gone(Reason::Unreachable),
        // cannot_connect_now.
        "57P03" => Consequence::gone(Reason::Starting),
        // too_many_connections.
        "53300" => Consequence::down(Reason::TooManyConnections),
        // disk_full.
        "53100" => Consequence::down(Reason::FullDisk),
        // out_of_memory.
        "53200" => Consequence::down(Reason::OutOfMemory),
        // io_error, data_corrupted, index_corrupted.
        "58030" | "XX001" | "XX002" => Consequence::down(Reason::Damaged),
        // invalid_password, invalid_authorization_specification.
        "28P01" | "28000" => Consequence::down(Reason::Authentication),
        // undefined_table, undefined_column: the schema perhaps no longer fits this release.
        "42P01" | "42703" => Consequence { is_suspect: true, ..Consequence::default() },
        // connection_exception and the other codes of its class.
        _ if code.starts_with("08") => Consequence::gone(Reason::Unreachable),
        _ => Consequence::default(),
    }
}

/// The consequence of a SQLite error, by its result code. The low byte is the primary code.
fn of_sqlite(code: u32) -> Consequence {
    let reason = match code & 0xff {
        // SQLITE_IOERR_WRITE, SQLITE_IOERR_SHMSIZE: a quota (EDQUOT) or a limit of the file size
        // (EFBIG). SQLite has its own code only for a full disk, and does not report the errno.
        _ if matches!(code, 778 | 4_874) => Reason::FullDisk,
        // SQLITE_BUSY, SQLITE_LOCKED: another process has held the lock for longer than the busy
        // time-out.
        5 | 6 => Reason::Locked,
        // SQLITE_NOMEM.
        7 => Reason::OutOfMemory,
        // SQLITE_READONLY.
        8 => Reason::ReadOnly,
        // SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB.
        10 | 11 | 26 => Reason::Damaged,
        // SQLITE_FULL.
        13 => Reason::FullDisk,
        // SQLITE_CANTOPEN.
        14 => Reason::Unreachable,
        // SQLITE_PERM, SQLITE_AUTH.
        3 | 23 => Reason::NoPermission,
        _ => return Consequence::default(),
    };
    match reason {
        // Perhaps the connection's data in memory is wrong, or its file was replaced. The next
        // connection opens the file again.
        Reason::OutOfMemory | Reason::ReadOnly | Reason::Damaged | Reason::Unreachable => {
            Consequence::gone(reason)
        }
        _ => Consequence::down(reason),
    }
}

pub(super) fn source(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(it))
        | DbErr::Exec(RuntimeErr::SqlxError(it))
        | DbErr::Query(RuntimeErr::SqlxError(it)) => Some(it),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_server_that_changed_closes_the_connections_of_before() {
        for (code, reason) in [
            ("25006", Some(Reason::ReadOnly)),
            ("0A000", None),
            ("57P01", Some(Reason::Unreachable)),
            ("57P02", Some(Reason::Unreachable)),
            ("57P03", Some(Reason::Starting)),
            ("08006", Some(Reason::Unreachable)),
        ] {
            let consequence = of_postgres(code);
            assert!(consequence.closes_older && consequence.is_suspect, "{code}");
            assert_eq!(consequence.reason, reason, "{code}");
        }
        for (code, reason) in [
            ("53100", Reason::FullDisk),
            ("53200", Reason::OutOfMemory),
            ("53300", Reason::TooManyConnections),
            ("28P01", Reason::Authentication),
            ("XX001", Reason::Damaged),
        ] {
            assert_eq!(of_postgres(code), Consequence::down(reason), "{code}");
        }
    }

    #[test]
    fn an_error_that_a_request_itself_caused_has_no_consequence() {
        for code in ["23505", "23503", "42501", "57014", "40001", "40P01", "55P03", "22P05"] {
            assert_eq!(of_postgres(code), Consequence::default(), "{code}");
        }
        for code in [1, 19, 2_067] {
            assert_eq!(of_sqlite(code), Consequence::default(), "{code}");
        }
        assert_eq!(consequence(&DbErr::Custom("x".into())), Consequence::default());
    }

    #[test]
    fn sqlite_is_read_by_the_low_byte_of_its_code() {
        for (code, reason) in [
            (13, Reason::FullDisk),
            (778, Reason::FullDisk),
            (4_874, Reason::FullDisk),
            (5, Reason::Locked),
        ] {
            assert_eq!(of_sqlite(code), Consequence::down(reason), "{code}");
        }
        for (code, reason) in [
            (7, Reason::OutOfMemory),
            (8, Reason::ReadOnly),
            (1_032, Reason::ReadOnly),
            (266, Reason::Damaged),
            (14, Reason::Unreachable),
        ] {
            assert_eq!(of_sqlite(code), Consequence::gone(reason), "{code}");
        }
    }

    #[test]
    fn a_broken_connection_and_a_full_pool_have_different_reasons() {
        let query = |it| DbErr::Query(RuntimeErr::SqlxError(Arc::new(it)));
        let broken = query(sqlx::Error::Io(io::ErrorKind::ConnectionReset.into()));
        assert_eq!(consequence(&broken), Consequence::gone(Reason::Unreachable));
        let untrusted = rustls::Error::from(rustls::CertificateError::UnknownIssuer);
        let untrusted = query(sqlx::Error::Io(io::Error::other(untrusted)));
        assert_eq!(consequence(&untrusted), Consequence::down(Reason::Certificate));
        let full = DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout);
        assert_eq!(consequence(&full), Consequence::down(Reason::Timeout));
        assert_eq!(
            consequence(&query(sqlx::Error::PoolTimedOut)),
            Consequence::down(Reason::Timeout)
        );
    }

    #[test]
    fn a_refused_connection_is_found_in_its_error() {
        for refusal in Refusal::ALL {
            let error = refusal.error();
            assert_eq!(Refusal::of(&error), Some(refusal));
            assert_eq!(consequence(&error).reason, Some(refusal.reason()));
        }
        assert_eq!(Refusal::of(&DbErr::Custom("x".into())), None);
    }
}
