//! What a person sees on the first start.

use super::Daemon;
use crate::config::{Config, Profile};
use crate::telemetry;

/// Greets a developer, and tells everybody's log that we listen.
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
        telemetry::print(&text(config, daemon));
    }
}

/// Says what is kept on this machine, and by whom: production wants to know, and so does whoever looks for their mail.
fn announce(config: &Config) {
    let folder = config.data_dir.display();
    if config.database.is_sqlite() {
        tracing::info!(%folder, "the database is embedded: SQLite, for one daemon alone");
    }
    if config.redis_url.is_none() {
        tracing::info!("the token store is embedded: a table of the database");
    }
    if config.mail.smtp_url.is_none() {
        tracing::info!(%folder, "mail goes to the built-in mailbox and leaves this machine never");
    }
}

fn text(config: &Config, daemon: &Daemon) -> String {
    let (url, admin) = (&config.public_url, daemon.admin_addr());
    let what = if config.is_embedded() {
        format!("data in {}, nothing leaves this machine", config.data_dir.display())
    } else {
        "not for the open internet; set profile = \"production\" there".to_owned()
    };
    let mailbox = if config.mail.smtp_url.is_none() {
        format!("  Mailbox   {url}/dev/mailbox   ")
    } else {
        "  ".to_owned()
    };
    format!(
        "latchkey {version}  development mode: {what}\n\
         \x20 API       {url}/api      Reference  {url}/docs\n\
         {mailbox}Health  http://{admin}/readyz\n\
         \x20 Try:  curl -s {url}/api/register -H 'content-type: application/json' \
         -d '{{\"email\":\"ada@example.com\",\"password\":\"correct horse battery\",\"name\":\"Ada\"}}'",
        version = env!("CARGO_PKG_VERSION"),
    )
}
