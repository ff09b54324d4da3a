//! `/`: the landing page, which says what latchkey is and where to go.

use askama::Template;

use super::html;
use crate::config::Config;

/// Whether a page links to the built-in mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailbox {
    /// The page links to the mailbox. This is the case in development, for a client on this
    /// machine.
    Served,
    /// The page does not link to the mailbox.
    Absent,
}

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing {
    mailbox: Mailbox,
    stores: Stores,
    command: String,
}

/// Which stores are embedded in the daemon. The page shows this only to a client to which the
/// mailbox is served, because other clients do not need to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stores {
    /// Accounts are in SQLite, and sessions are in one of its tables.
    Both,
    /// Accounts are in SQLite, and sessions are in Redis.
    Database,
    /// Accounts are in PostgreSQL, and sessions are in one of its tables.
    Tokens,
    /// Accounts are in PostgreSQL, and sessions are in Redis.
    Servers,
}

impl Stores {
    /// The stores of a configuration.
    pub fn of(config: &Config) -> Self {
        match (config.database.is_sqlite(), config.redis.url.is_none()) {
            (true, true) => Self::Both,
            (true, false) => Self::Database,
            (false, true) => Self::Tokens,
            (false, false) => Self::Servers,
        }
    }
}

/// Renders the landing page. The command on the page contains `public_url` without the slash at its
/// end.
pub fn landing(public_url: &str, mailbox: Mailbox, stores: Stores) -> String {
    let body = r#"{"email":"ada@example.com","password":"correct horse battery","name":"Ada"}"#;
    let base = public_url.trim_end_matches('/');
    let command = format!(
        "curl -s {base}/api/register \\\n  -H 'content-type: application/json' \\\n  -d '{body}'"
    );
    html(&Landing { mailbox, stores, command })
}
