//! Reads `database.url` in the same way as the drivers, and keeps the URL out of errors and logs.
//!
//! SeaORM quotes a URL that it cannot read, and sqlx logs the values of parameters that it does not
//! know. So the URL is read here, and SeaORM and sqlx get only the resulting options.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use percent_encoding::percent_decode_str;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{DbErr, RuntimeErr};

use crate::authorities::{Authorities, BadFile};
use crate::config;

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

/// The names of the parameter for the file of certificate authorities.
const ROOT_CERT: [&str; 3] = ["sslrootcert", "ssl-root-cert", "ssl-ca"];

/// The value of `sslrootcert` that stands for the authorities of the machine and those that are
/// compiled in.
const SYSTEM: &str = "system";

/// The folders in which PostgreSQL has its socket, if the URL does not say where.
const SOCKET_FOLDERS: [&str; 3] = ["/run/postgresql", "/var/run/postgresql", "/tmp"];

/// Why a URL cannot be used to connect. Contains no part of the URL except the path of a file.
#[derive(Debug)]
pub enum BadUrl {
    /// The driver cannot read the URL.
    Malformed,
    /// The URL names several hosts.
    Hosts,
    /// `sslrootcert` and `database.ca_file` are both set.
    TwoFiles,
    /// The file of `sslrootcert` cannot be used.
    RootCert(BadFile),
    /// The file of `database.ca_file` cannot be used.
    CaFile(BadFile),
}

impl BadUrl {
    /// What the operator can do.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Malformed => {
                "percent-encode user and password, and give each parameter a valid value \
                 (`sslmode`: disable, prefer, require, verify-ca, verify-full)"
            }
            Self::Hosts => "write one host name that always leads to the primary",
            Self::TwoFiles => "remove one of them",
            Self::RootCert(_) | Self::CaFile(_) => BadFile::FIX,
        }
    }
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("is not a URL that the database driver can read"),
            Self::Hosts => f.write_str("names several hosts"),
            Self::TwoFiles => f.write_str("has a parameter sslrootcert beside `database.ca_file`"),
            Self::RootCert(bad) => write!(f, "has a parameter sslrootcert that {bad}"),
            Self::CaFile(bad) => write!(f, "is used with `database.ca_file`, which {bad}"),
        }
    }
}

impl std::error::Error for BadUrl {}

/// Whether `database.url` is a URL with which the driver can connect. This function does not
/// connect.
pub fn check(config: &config::Database) -> Result<(), BadUrl> {
    let url = config.url.expose();
    if !config.is_sqlite() {
        return postgres(config).map(drop);
    }
    // SeaORM reads the URL as a generic URL, and sqlx reads it as a URL of SQLite.
    let is_read = url::Url::parse(url).is_ok() && url.parse::<SqliteConnectOptions>().is_ok();
    if is_read { Ok(()) } else { Err(BadUrl::Malformed) }
}

/// The names of the parameters of a PostgreSQL URL that have no effect. A name that is not known is
/// not shown.
pub fn ignored(config: &config::Database) -> Vec<&'static str> {
    if config.is_sqlite() {
        return Vec::new();
    }
    let query = config::Url::parse(config.url.expose()).and_then(|url| url.query);
    let names = pairs(query).map(|(name, _)| name).filter(|name| !is_read(name));
    names
        .map(|name| OF_OTHERS.into_iter().find(|it| *it == name).unwrap_or("an unknown parameter"))
        .collect()
}

/// How a connection to PostgreSQL is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// The server is on this machine, or the database is a local file.
    Local,
    /// The connection is encrypted, and the server's certificate and name are verified.
    Verified,
    /// Like [`Protection::Verified`], but the certificate may be that of another server.
    AnyName,
    /// The connection is encrypted, but the server is not verified.
    Unverified,
    /// The connection is perhaps not encrypted, and the server is not verified.
    None,
}

/// How the connection to `database.url` is protected.
pub fn protection(config: &config::Database) -> Protection {
    if config.is_sqlite() {
        return Protection::Local;
    }
    let Ok(options) = postgres(config) else { return Protection::None };
    match options.get_ssl_mode() {
        _ if options.get_socket().is_some() => Protection::Local,
        _ if config::is_loopback(options.get_host()) => Protection::Local,
        PgSslMode::VerifyFull => Protection::Verified,
        PgSslMode::VerifyCa => Protection::AnyName,
        PgSslMode::Require => Protection::Unverified,
        _ => Protection::None,
    }
}

/// The options of a connection to PostgreSQL. They contain only those URL parameters that sqlx
/// reads.
///
/// The host is read here, because sqlx reads less than libpq: it keeps the brackets of an IPv6
/// address, and it refuses a URL with a user and without a host. sqlx gets the host as a parameter,
/// and a URL with another host.
pub(super) fn postgres(config: &config::Database) -> Result<PgConnectOptions, BadUrl> {
    let given = config::Url::parse(config.url.expose()).ok_or(BadUrl::Malformed)?;
    let host = percent_decode_str(given.host).decode_utf8().map_err(|_| BadUrl::Malformed)?;
    let (mut host, mut kept, mut root_cert) = (host.into_owned(), Vec::new(), None);
    for (name, value) in pairs(given.query).filter(|(name, _)| is_read(name)) {
        match &*name {
            "hostaddr" if value.parse::<IpAddr>().is_err() => return Err(BadUrl::Malformed),
            "host" | "hostaddr" => host = value.into_owned(),
            name if ROOT_CERT.contains(&name) => root_cert = Some(value.into_owned()),
            _ => kept.push((name, value)),
        }
    }
    if host.contains(',') {
        return Err(BadUrl::Hosts);
    }
    let mut url = url::Url::parse(&format!(
        "postgres://{user}localhost{port}{path}",
        user = given.userinfo.map(|user| format!("{user}@")).unwrap_or_default(),
        port = given.port.map(|port| format!(":{port}")).unwrap_or_default(),
        path = given.path,
    ))
    .map_err(|_| BadUrl::Malformed)?;
    url.query_pairs_mut().extend_pairs(kept.iter());
    if !host.is_empty() {
        url.query_pairs_mut().append_pair("host", &host);
    }
    let mut options: PgConnectOptions = url.as_str().parse().map_err(|_| BadUrl::Malformed)?;
    if host.is_empty() {
        let folder = socket_folder(options.get_port());
        options = options.socket(folder);
    }
    if options.get_socket().is_some() {
        // As with libpq, `sslmode` has no effect.
        return Ok(options.ssl_mode(PgSslMode::Disable));
    }
    let is_system = root_cert.as_deref() == Some(SYSTEM);
    if is_system && !kept.iter().any(|(name, _)| ["sslmode", "ssl-mode"].contains(&&**name)) {
        options = options.ssl_mode(PgSslMode::VerifyFull);
    }
    trusting(options, config.ca_file.as_deref(), root_cert.filter(|_| !is_system).as_deref())
}

/// Whether the connection to PostgreSQL verifies the server's certificate, so that
/// `database.ca_file` has an effect.
pub fn verifies(config: &config::Database) -> bool {
    postgres(config).is_ok_and(|options| is_verifying(&options))
}

fn is_verifying(options: &PgConnectOptions) -> bool {
    matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull)
}

/// Adds the certificate authorities, if the mode of the connection uses them.
fn trusting(
    options: PgConnectOptions,
    ca_file: Option<&Path>,
    root_cert: Option<&str>,
) -> Result<PgConnectOptions, BadUrl> {
    let file = match (ca_file, root_cert.map(Path::new)) {
        (Some(_), Some(_)) => return Err(BadUrl::TwoFiles),
        (one, other) => one.or(other),
    };
    let bad = if ca_file.is_some() { BadUrl::CaFile } else { BadUrl::RootCert };
    if !is_verifying(&options) {
        return match file.map_or(Ok(()), Authorities::check) {
            Ok(()) => Ok(options),
            Err(file) => Err(bad(file)),
        };
    }
    let authorities = Authorities::with(file).map_err(bad)?;
    Ok(match authorities.pem() {
        Some(pem) => options.ssl_root_cert_from_pem(pem),
        None => options,
    })
}

/// The folder of the socket, if the URL does not say where. libpq has a default that was chosen
/// when it was built.
fn socket_folder(port: u16) -> &'static str {
    let has_socket = |folder: &&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    SOCKET_FOLDERS.into_iter().find(has_socket).unwrap_or(SOCKET_FOLDERS[0])
}

/// The parameters of a URL, decoded.
fn pairs(query: Option<&str>) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
}

fn is_read(name: &str) -> bool {
    READ.contains(&name) || name.starts_with("options[")
}

impl From<BadUrl> for DbErr {
    fn from(bad: BadUrl) -> Self {
        Self::Conn(RuntimeErr::Internal(format!("database.url {bad}: {}", bad.fix())))
    }
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
