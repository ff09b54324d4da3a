//! Reads `database.url` in the same way as the drivers, and keeps the URL out of errors and logs.
//!
//! SeaORM quotes a URL that it cannot read, and sqlx logs the values of parameters that it does not
//! know. So the URL is read here, and SeaORM and sqlx get only the resulting options.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use sea_orm::sqlx;
use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{DbErr, RuntimeErr};

use super::refusal::source;
use crate::config;
use crate::secret::Redactor;

/// The parameters of a PostgreSQL URL that sqlx reads. It also reads `options[…]`.
const READ: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Parameters that libpq, PgBouncer or another driver reads but sqlx does not. They have no effect.
const OF_OTHERS: [&str; 19] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "passfile",
    "pgbouncer",
    "require_auth",
    "schema",
    "sslcrl",
    "ssl_min_protocol_version",
    "sslpassword",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// Why a URL cannot be used to connect. Contains no part of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadUrl {
    /// The driver cannot read the URL.
    Malformed,
    /// The URL names several hosts.
    Hosts,
}

impl BadUrl {
    /// What the operator can do.
    pub fn fix(self) -> &'static str {
        match self {
            Self::Malformed => {
                "percent-encode user and password, and give each parameter a valid value \
                 (`sslmode`: disable, prefer, require, verify-ca, verify-full)"
            }
            Self::Hosts => "write one host name that always leads to the primary",
        }
    }
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not a URL that the database driver can read",
            Self::Hosts => "names several hosts",
        })
    }
}

impl std::error::Error for BadUrl {}

/// Whether `database.url` is a URL with which the driver can connect. This function does not
/// connect.
pub fn check(config: &config::Database) -> Result<(), BadUrl> {
    let url = config.url.expose();
    if !config.is_sqlite() {
        return postgres(url).map(drop);
    }
    // SeaORM reads the URL as a generic URL, and sqlx reads it as a URL of SQLite.
    let is_read = url::Url::parse(url).is_ok() && url.parse::<SqliteConnectOptions>().is_ok();
    if is_read { Ok(()) } else { Err(BadUrl::Malformed) }
}

/// The names of the parameters of a PostgreSQL URL that have no effect. A name that is not known is
/// not shown.
pub fn ignored(config: &config::Database) -> Vec<&'static str> {
    let Some(url) = url::Url::parse(config.url.expose()).ok().filter(|_| !config.is_sqlite())
    else {
        return Vec::new();
    };
    let names = url.query_pairs().map(|(name, _)| name).filter(|name| !is_read(name));
    names
        .map(|name| OF_OTHERS.into_iter().find(|it| *it == name).unwrap_or("an unknown parameter"))
        .collect()
}

/// The options of a connection to PostgreSQL. They contain only those URL parameters that sqlx
/// reads.
pub(super) fn postgres(url: &str) -> Result<PgConnectOptions, BadUrl> {
    let mut url = url::Url::parse(url).map_err(|_| BadUrl::Malformed)?;
    if url.query_pairs().any(|(name, _)| !is_read(&name)) {
        let pairs = url.query_pairs().filter(|(name, _)| is_read(name));
        let kept: Vec<(String, String)> = pairs.map(|(k, v)| (k.into(), v.into())).collect();
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
    }
    let options: PgConnectOptions = url.as_str().parse().map_err(|_| BadUrl::Malformed)?;
    if options.get_host().contains(',') { Err(BadUrl::Hosts) } else { Ok(options) }
}

fn is_read(name: &str) -> bool {
    READ.contains(&name) || name.starts_with("options[")
}

/// The same error, without the parts of the URL that it repeats.
pub(super) fn redacted(url: &str, error: DbErr) -> DbErr {
    let (redactor, text) = (Redactor::of_url(url), error.to_string());
    let shown = redactor.redact(&text);
    if shown == text {
        return error;
    }
    let Some(sqlx::Error::Database(said)) = source(&error) else {
        return DbErr::Conn(RuntimeErr::Internal(shown));
    };
    // The SQLSTATE code stays, because the reason is read from it.
    let text = redactor.redact(said.message());
    let shown = Shown { text, code: said.code().map(Cow::into_owned) };
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Database(Box::new(shown)))))
}

/// A server's error, without the parts of the URL that it repeats.
#[derive(Debug)]
struct Shown {
    text: String,
    code: Option<String>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Shown {}

impl DatabaseError for Shown {
    fn message(&self) -> &str {
        &self.text
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.code.as_deref().map(Cow::Borrowed)
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }
}

impl From<BadUrl> for DbErr {
    fn from(bad: BadUrl) -> Self {
        Self::Conn(RuntimeErr::Internal(format!("database.url {bad}: {}", bad.fix())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn database(url: &str) -> config::Database {
        let url = Secret::new(url.to_owned());
        config::Database::new(url, 1)
    }

    #[test]
    fn a_url_that_a_driver_cannot_read_is_refused_and_not_quoted() {
        for (url, bad) in [
            ("postgres://u:p@a:1,b:2/d", BadUrl::Malformed),
            ("postgres://u:p@a/d?host=a,b", BadUrl::Hosts),
            ("postgres://u:p@[::1/d", BadUrl::Malformed),
            ("postgres://u:p@a/d?sslmode=hunter2", BadUrl::Malformed),
            ("postgres://u:p@a/d?port=hunter2", BadUrl::Malformed),
            ("sqlite://x.db?mode=hunter2", BadUrl::Malformed),
            ("sqlite://x.db?hunter2=1", BadUrl::Malformed),
            ("sqlite://u:hunter2/x.db", BadUrl::Malformed),
        ] {
            assert_eq!(check(&database(url)), Err(bad), "{url}");
            assert!(!DbErr::from(bad).to_string().contains("hunter2"));
        }
        for url in [
            "postgres://u:p%40ss@db.example:5432/d?sslmode=require&options[search_path]=a",
            "postgres://u@localhost/d?host=/run/postgresql",
            "postgresql://[::1]/d",
            "sqlite://./data/x.db?mode=rwc",
            "sqlite:///var/lib/x.db",
        ] {
            assert_eq!(check(&database(url)), Ok(()), "{url}");
        }
    }

    #[test]
    fn parameters_of_other_drivers_are_left_out_and_named() {
        let url = "postgres://u:p@h/d?sslpassword=hunter2&sslmode=require&pgbouncer=true&x=y+z";
        assert_eq!(ignored(&database(url)), ["sslpassword", "pgbouncer", "an unknown parameter"]);
        let options = postgres(url).unwrap();
        assert_eq!((options.get_host(), options.get_database()), ("h", Some("d")));
        assert_eq!(format!("{:?}", options.get_ssl_mode()), "Require");
        assert_eq!(ignored(&database("postgres://h/d?options[a]=b&user=c")), [""; 0]);
        assert_eq!(ignored(&database("sqlite://x.db?mode=rwc")), [""; 0]);
    }

    #[test]
    fn an_error_that_quotes_the_url_is_replaced() {
        let url = "postgres://u:hunter2@h/d";
        let quoting = DbErr::Conn(RuntimeErr::Internal(format!("'{url}' cannot be parsed")));
        let shown = format!("{:?}", redacted(url, quoting));
        assert!(!shown.contains("hunter2") && shown.contains("cannot be parsed"), "{shown}");
        let said = Shown {
            text: "password authentication failed for user \"u\"".to_owned(),
            code: Some("28P01".to_owned()),
        };
        let said = sqlx::Error::Database(Box::new(said));
        let refused = redacted(url, DbErr::Conn(RuntimeErr::SqlxError(Arc::new(said))));
        assert!(refused.to_string().contains("for user \"***\""), "{refused}");
        let reason = crate::database::probe_reason(&refused);
        assert_eq!(reason, Some(crate::health::Reason::Authentication), "the code stays");
        let plain = redacted(url, DbErr::RecordNotFound("x".to_owned()));
        assert!(matches!(plain, DbErr::RecordNotFound(_)));
    }
}
