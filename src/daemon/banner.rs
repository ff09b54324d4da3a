//! What a person sees on the first start.

use super::Daemon;
use crate::config::{Config, Profile};

/// Greets a developer, and tells everybody's log that we listen.
pub fn greet(config: &Config, daemon: &Daemon) {
    tracing::info!(
        public = %daemon.public_addr(),
        admin = %daemon.admin_addr(),
        profile = ?config.profile,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    if config.profile == Profile::Development {
        eprintln!("{}", text(config, daemon));
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
