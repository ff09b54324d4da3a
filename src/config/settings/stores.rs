//! The settings of the two stores: `database.*` and `redis.*`.

use super::settings;
use crate::config::kind::Kind::{Bool, Integer, SecretUrl};
use crate::config::setting::Fallback::{Derived, Is, Nothing};
use crate::secret::Secret;

settings! {
    /// The database: users, teams and everything else that must not be lost
    Database = "database" {
        /// SQLite for one daemon, PostgreSQL for one or several.
        url: Secret<String> = "database.url", SecretUrl(&["sqlite", "postgres", "postgresql"]),
            Derived("`sqlite://<data_dir>/latchkey.db`", "postgres://latchkey@db.example.com/latchkey");
        /// Whether the daemon applies pending migrations when it starts. With `false`, run
        /// `latchkey migrate up`.
        auto_migrate: bool = "database.auto_migrate", Bool,
            Derived("`true` with SQLite, `false` with PostgreSQL", "true");
        /// The most connections to PostgreSQL. With SQLite: the readers beside the one writer.
        max_connections: u32 = "database.max_connections", Integer(1, 1_000), Is("20");
    }
}

settings! {
    /// The token store: sessions, mailed tokens, budgets
    Redis = "redis" {
        /// Redis as the token store. Without it the token store is a table of the database.
        url: Option<Secret<String>> = "redis.url",
            SecretUrl(&["redis", "rediss", "redis+cluster", "rediss+cluster"]),
            Nothing("rediss://redis.example.com:6379");
    }
}

impl Database {
    /// Whether the database is a local file.
    pub fn is_sqlite(&self) -> bool {
        self.url.expose().starts_with("sqlite:")
    }
}
