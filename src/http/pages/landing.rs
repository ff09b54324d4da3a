//! `/`: what this is and where to go.

use askama::Template;

use super::html;
use crate::config::Config;

/// Whether the built-in mailbox can be opened from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailbox {
    /// In development, to a peer on this machine.
    Served,
    /// Everywhere else.
    Absent,
}

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing {
    mailbox: Mailbox,
    stores: Stores,
    command: String,
}

/// Which stores are part of this process. Told where the mailbox is served: it is nobody else's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stores {
    /// Accounts in SQLite, sessions in a table of it.
    Both,
    /// Accounts in SQLite, sessions in Redis.
    Database,
    /// Accounts in PostgreSQL, sessions in a table of it.
    Tokens,
    /// Neither.
    Servers,
}

impl Stores {
    /// What a configuration has.
    pub fn of(config: &Config) -> Self {
        match (config.database.is_sqlite(), config.redis_url.is_none()) {
            (true, true) => Self::Both,
            (true, false) => Self::Database,
            (false, true) => Self::Tokens,
            (false, false) => Self::Servers,
        }
    }
}

/// The landing page. `public_url` without a slash at its end goes into the command to try.
pub fn landing(public_url: &str, mailbox: Mailbox, stores: Stores) -> String {
    let body = r#"{"email":"ada@example.com","password":"correct horse battery","name":"Ada"}"#;
    let base = public_url.trim_end_matches('/');
    let command = format!(
        "curl -s {base}/api/register \\\n  -H 'content-type: application/json' \\\n  -d '{body}'"
    );
    html(&Landing { mailbox, stores, command })
}
