//! The settings of the two stores: `database.*` and `redis.*`.

use std::path::PathBuf;

use super::settings;
use crate::config::kind::Kind::{Bool, Integer, Path, SecretUrl};
use crate::config::setting::Fallback::{Derived, Is, Nothing};
use crate::secret::Secret;

/// The default of `tls_required`, in words.
pub(super) const TLS_REQUIRED: &str = "`true` with the profile `production`, otherwise `false`";

settings! {
    /// The database with users, teams and all other data that must not be lost
    Database = "database" {
        /// The URL of the database. Use SQLite for one daemon, and PostgreSQL for one or several
        /// daemons.
        url: Secret<String> = "database.url", SecretUrl(&["sqlite", "postgres", "postgresql"]),
            Derived("`sqlite://<data_dir>/latchkey.db`", "postgres://latchkey@db.example.com/latchkey");
        /// Whether the daemon applies pending migrations when it starts. If it is `false`, run
        /// `latchkey migrate up` yourself.
        auto_migrate: bool = "database.auto_migrate", Bool,
            Derived("`true` with SQLite, `false` with PostgreSQL", "false");
        /// The URL with which `latchkey migrate` connects. Set it if the role of `database.url`
        /// does not own the tables. The daemon does not use this URL, so set it only for `latchkey
        /// migrate`.
        migrate_url: Option<Secret<String>> = "database.migrate_url",
            SecretUrl(&["postgres", "postgresql"]),
            Nothing("postgres://latchkey_owner@db.example.com/latchkey");
        /// The maximum number of connections to PostgreSQL. For SQLite, it is the maximum number of
        /// connections that read. One further connection writes.
        max_connections: u32 = "database.max_connections", Integer(1, 1_000), Is("20");
        /// A file in PEM with the certificate authorities of your PostgreSQL server. latchkey also
        /// trusts the authorities of the machine and the authorities that are compiled in. The file
        /// is used with `sslmode=verify-full` and `sslmode=verify-ca`.
        ca_file: Option<PathBuf> = "database.ca_file", Path, Nothing("/etc/latchkey/database-ca.pem");
        /// What happens if the connection to PostgreSQL on another machine is not encrypted, or
        /// does not verify the server. `true`: an error. `false`: only a warning. Connections to
        /// this machine (loopback addresses and Unix sockets) need no encryption.
        tls_required: bool = "database.tls_required", Bool, Derived(TLS_REQUIRED, "true");
    }
}

settings! {
    /// The token store: sessions, mailed tokens, budgets
    Redis = "redis" {
        /// The URL of the Redis server that is the token store. If you do not set this URL, the
        /// token store is a table of the database.
        url: Option<Secret<String>> = "redis.url",
            SecretUrl(&["redis", "rediss", "redis+cluster", "rediss+cluster", "redis+unix", "unix"]),
            Nothing("rediss://redis.example.com:6379");
        /// A file in PEM with the certificate authorities of your Redis servers. latchkey then
        /// trusts these authorities and the authorities of the machine, but not the authorities
        /// that are compiled in.
        ca_file: Option<PathBuf> = "redis.ca_file", Path, Nothing("/etc/latchkey/redis-ca.pem");
        /// What happens if the connection to Redis on another machine is not encrypted. `true`: an
        /// error. `false`: only a warning. Connections to this machine (loopback addresses and Unix
        /// sockets) need no encryption.
        tls_required: bool = "redis.tls_required", Bool, Derived(TLS_REQUIRED, "true");
    }
}

impl Database {
    /// The database at a URL, with the default of every other setting.
    pub fn at(url: &str) -> Self {
        Self {
            url: Secret::new(url.to_owned()),
            auto_migrate: false,
            migrate_url: None,
            max_connections: 20,
            ca_file: None,
            tls_required: false,
        }
    }

    /// The settings with which `latchkey migrate` connects.
    #[must_use]
    pub fn for_migrations(&self) -> Self {
        let url = self.migrate_url.as_ref().unwrap_or(&self.url).clone();
        Self { url, ..self.clone() }
    }

    /// The setting that contains the URL of these settings.
    pub fn url_setting(&self) -> &'static str {
        match &self.migrate_url {
            Some(url) if url.expose() == self.url.expose() => "database.migrate_url",
            _ => "database.url",
        }
    }

    /// Whether the database is a local file.
    pub fn is_sqlite(&self) -> bool {
        self.url.expose().starts_with("sqlite:")
    }
}
