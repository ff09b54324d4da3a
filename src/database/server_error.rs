//! Errors of a PostgreSQL server in the form in which they are shown and logged.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use sea_orm::sqlx;
use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::{DbErr, RuntimeErr};

use super::refusal::source;
use crate::authorities::is_untrusted;
use crate::config::{self, escape_hint};
use crate::secret::Redactor;

/// The same error, without the parts of the URL that it repeats. If the server refuses the login,
/// or its certificate is not accepted, the error names the setting to correct. If the password of
/// the URL is perhaps not escaped, the error says so.
pub(super) fn redacted(config: &config::Database, error: DbErr) -> DbErr {
    let (url, setting) = (config.url.expose(), config.url_setting());
    let redactor = Redactor::of_url(url);
    if let Some(sqlx::Error::Database(said)) = source(&error)
        && let Some(code @ ("28P01" | "28000")) = said.code().as_deref()
    {
        let hint = escape_hint(url).map(|hint| format!(": {hint}")).unwrap_or_default();
        let text = format!("`{setting}`: {}{hint}", redactor.redact(said.message()));
        return DbErr::Conn(with_text(text, Some(code)));
    }
    let text = error.to_string();
    let shown = redactor.redact(&text);
    if let DbErr::Conn(RuntimeErr::SqlxError(cause)) = &error
        && is_untrusted(cause)
    {
        let text = format!("{shown} (see `database.ca_file` and the host in `{setting}`)");
        let untrusted = Untrusted { text, cause: cause.clone() };
        let untrusted = sqlx::Error::Tls(Box::new(untrusted));
        return DbErr::Conn(RuntimeErr::SqlxError(Arc::new(untrusted)));
    }
    if shown == text {
        return error;
    }
    let Some(sqlx::Error::Database(said)) = source(&error) else {
        return DbErr::Conn(RuntimeErr::Internal(shown));
    };
    DbErr::Conn(with_text(redactor.redact(said.message()), said.code().as_deref()))
}

/// The certificate of the server is not accepted.
#[derive(Debug)]
struct Untrusted {
    text: String,
    cause: Arc<sqlx::Error>,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Untrusted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

/// An error with this text. The SQLSTATE code stays, because the reason is read from it.
pub(super) fn with_text(text: String, code: Option<&str>) -> RuntimeErr {
    let shown = Shown { text, code: code.map(str::to_owned) };
    RuntimeErr::SqlxError(Arc::new(sqlx::Error::Database(Box::new(shown))))
}

/// The same error, without the line number that sqlx appends to its text. The number is that of a
/// line in PostgreSQL's own source code.
pub(super) fn without_line(error: DbErr) -> DbErr {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(it)) => DbErr::Conn(RuntimeErr::SqlxError(plain(it))),
        DbErr::Exec(RuntimeErr::SqlxError(it)) => DbErr::Exec(RuntimeErr::SqlxError(plain(it))),
        DbErr::Query(RuntimeErr::SqlxError(it)) => DbErr::Query(RuntimeErr::SqlxError(plain(it))),
        other => other,
    }
}

fn plain(error: Arc<sqlx::Error>) -> Arc<sqlx::Error> {
    match Arc::try_unwrap(error) {
        Ok(sqlx::Error::Database(said)) if said.try_downcast_ref::<PgDatabaseError>().is_some() => {
            Arc::new(sqlx::Error::Database(Box::new(Plain(said))))
        }
        Ok(other) => Arc::new(other),
        Err(shared) => shared,
    }
}

/// A server's error that is shown without a line number.
#[derive(Debug)]
struct Plain(Box<dyn DatabaseError>);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}

impl Error for Plain {}

impl DatabaseError for Plain {
    fn message(&self) -> &str {
        self.0.message()
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.0.code()
    }

    fn constraint(&self) -> Option<&str> {
        self.0.constraint()
    }

    fn table(&self) -> Option<&str> {
        self.0.table()
    }

    fn kind(&self) -> ErrorKind {
        self.0.kind()
    }

    fn is_transient_in_connect_phase(&self) -> bool {
        self.0.is_transient_in_connect_phase()
    }

    // SeaORM looks for the driver's own type to find out which constraint was violated.
    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.0.as_error()
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self.0.as_error_mut()
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self.0.into_error()
    }
}

/// A server's error with another text.
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

impl Error for Shown {}

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

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Database;

    #[test]
    fn an_error_that_quotes_the_url_is_replaced() {
        let url = "postgres://u:hunter2@h/d";
        let quoting = DbErr::Conn(RuntimeErr::Internal(format!("'{url}' cannot be parsed")));
        let shown = format!("{:?}", redacted(&Database::at(url), quoting));
        assert!(!shown.contains("hunter2") && shown.contains("cannot be parsed"), "{shown}");
        let said =
            with_text("password authentication failed for user \"u\"".to_owned(), Some("28P01"));
        let refused = redacted(&Database::at(url), DbErr::Conn(said));
        assert!(refused.to_string().contains("for user \"***\""), "{refused}");
        let reason = crate::database::probe_reason(&refused);
        assert_eq!(reason, Some(crate::health::Reason::Authentication), "the code stays");
        let said = || with_text("password authentication failed".to_owned(), Some("28P01"));
        for url in ["postgres://u:p%40w@h/d", "postgres://u:p@w@h/d"] {
            let hinted = redacted(&Database::at(url), DbErr::Conn(said())).to_string();
            assert!(hinted.contains("percent-encode user and password"), "{hinted}");
        }
        let plain = redacted(&Database::at(url), DbErr::Conn(said())).to_string();
        assert!(!plain.contains("percent-encode"), "{plain}");
        let mut migrating = Database::at(url);
        migrating.migrate_url = Some(migrating.url.clone());
        let named = redacted(&migrating, DbErr::Conn(said())).to_string();
        assert!(named.contains("`database.migrate_url`"), "{named}");
        let untrusted = rustls::Error::from(rustls::CertificateError::UnknownIssuer);
        let untrusted = sqlx::Error::Io(std::io::Error::other(untrusted));
        let untrusted = DbErr::Conn(RuntimeErr::SqlxError(Arc::new(untrusted)));
        let named = redacted(&Database::at(url), untrusted);
        let reason = crate::database::probe_reason(&named);
        assert_eq!(reason, Some(crate::health::Reason::Certificate), "{named}");
        assert!(named.to_string().contains("`database.ca_file`"), "{named}");
        let plain = redacted(&Database::at(url), DbErr::RecordNotFound("x".to_owned()));
        assert!(matches!(plain, DbErr::RecordNotFound(_)));
    }
}
