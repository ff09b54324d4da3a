//! `/`: what this is and where to go.

use askama::Template;

use super::html;

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
    command: String,
}

/// The landing page. `public_url` without a slash at its end goes into the command to try.
pub fn landing(public_url: &str, mailbox: Mailbox) -> String {
    let body = r#"{"email":"ada@example.com","password":"correct horse battery","name":"Ada"}"#;
    let base = public_url.trim_end_matches('/');
    let command = format!(
        "curl -s {base}/api/register \\\n  -H 'content-type: application/json' \\\n  -d '{body}'"
    );
    html(&Landing { mailbox, command })
}
