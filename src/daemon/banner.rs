//! The messages of a daemon that has started, for the log and for a developer.

use super::Daemon;
use crate::config::{Config, Profile};
use crate::mail::MailboxKey;
use crate::telemetry;

/// Logs that the daemon listens. With the profile `development` it also prints a welcome text.
pub fn greet(config: &Config, daemon: &Daemon) {
    tracing::info!(
        public = %daemon.public_addr(),
        admin = %daemon.admin_addr(),
        profile = ?config.profile,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    announce(config);
    if config.profile == Profile::Development {
        // A log is stored, and other people can read it. So the key is printed only on a terminal.
        let key = daemon.app().mailbox_key.as_ref();
        let mailbox = mailbox_line(config, key, telemetry::prints_to_a_terminal());
        telemetry::print(&text(config, daemon, mailbox.as_deref()));
    }
}

/// Logs which data is stored on this machine. An operator in production has to know this, and so
/// does a developer who looks for a mail.
fn announce(config: &Config) {
    let folder = config.data_dir.display();
    if config.database.is_sqlite() {
        tracing::info!(
            %folder,
            "the embedded database (SQLite) is in use: only one daemon can use it"
        );
    }
    if config.redis.url.is_none() {
        tracing::info!("the embedded token store is in use: a table in the database");
    }
    if config.mail.smtp_url.is_none() {
        tracing::info!(
            %folder,
            "mails go to the built-in mailbox and never leave this machine: to send mails, set \
             mail.smtp_url"
        );
    }
}

/// The text that says where the mails are. `None` if mails are sent by SMTP. The URL contains the
/// key only if it is printed on a terminal.
fn mailbox_line(config: &Config, key: Option<&MailboxKey>, on_terminal: bool) -> Option<String> {
    if config.mail.smtp_url.is_some() {
        return None;
    }
    let url = format!("{}/dev/mailbox", config.public_url);
    Some(match (config.mailbox_barrier(), key) {
        (Some(barrier), _) => {
            format!("nobody can open it, because {}; set mail.smtp_url", barrier.reason())
        }
        (None, None) => "closed, because its key cannot be used; see the log".to_owned(),
        (None, Some(key)) if on_terminal => format!("{url}?key={}", key.expose()),
        (None, Some(_)) => {
            format!("{url}, with the key in {}", MailboxKey::file_in(&config.data_dir).display())
        }
    })
}

fn text(config: &Config, daemon: &Daemon, mailbox: Option<&str>) -> String {
    let (url, admin) = (&config.public_url, daemon.admin_addr());
    let what = if config.is_embedded() {
        format!("data in {}, nothing leaves this machine", config.data_dir.display())
    } else {
        "do not expose it to the internet; for that, set profile = \"production\"".to_owned()
    };
    let mailbox = mailbox.map(|line| format!("  Mailbox   {line}\n")).unwrap_or_default();
    format!(
        "latchkey {version}  development mode: {what}\n\
         \x20 API       {url}/api      Reference  {url}/docs\n\
         {mailbox}\
         \x20 Health    http://{admin}/readyz\n\
         \x20 Try:  curl -s {url}/api/register -H 'content-type: application/json' \
         -d '{{\"email\":\"ada@example.com\",\"password\":\"correct horse battery\",\"name\":\"Ada\"}}'",
        version = env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Inputs, Machine, load};

    fn config(settings: &[(&str, &str)]) -> Config {
        let environment: BTreeMap<String, String> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let machine = Machine { cores: 1, log_on_terminal: false };
        let inputs = Inputs { files: Vec::new(), environment: &environment, flags: &[], machine };
        load(&inputs).unwrap_or_else(|problems| panic!("{problems}")).config
    }

    #[test]
    fn the_key_is_printed_on_a_terminal_and_never_into_a_log() {
        let key = MailboxKey::random();
        let config = config(&[]);
        let shown = mailbox_line(&config, Some(&key), true).unwrap();
        assert_eq!(shown, format!("http://127.0.0.1:8080/dev/mailbox?key={}", key.expose()));
        let logged = mailbox_line(&config, Some(&key), false).unwrap();
        assert_eq!(logged, "http://127.0.0.1:8080/dev/mailbox, with the key in ./data/mailbox-key");
    }

    #[test]
    fn a_mailbox_that_nobody_can_open_is_said_to_be_so() {
        let key = MailboxKey::random();
        let unusable = mailbox_line(&config(&[]), None, true).unwrap();
        assert!(unusable.contains("see the log"), "{unusable}");
        let away = config(&[("LATCHKEY_PUBLIC_URL", "https://auth.example")]);
        let line = mailbox_line(&away, Some(&key), true).unwrap();
        assert!(line.contains("`public_url` does not name this machine"), "{line}");
        assert!(line.contains("set mail.smtp_url") && !line.contains(key.expose()), "{line}");
        let smtp = config(&[("LATCHKEY_MAIL__SMTP_URL", "smtp://127.0.0.1")]);
        assert_eq!(mailbox_line(&smtp, Some(&key), true), None);
    }
}
