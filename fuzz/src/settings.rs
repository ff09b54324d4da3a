//! The fuzz harness for settings that are URLs with passwords. The operator writes these URLs, and
//! latchkey must never show their passwords.
//!
//! The input has three lines: the scheme, the user, and the text after the `@`.

use std::collections::BTreeMap;

use latchkey::config::{Inputs, Machine, load};
use latchkey::daemon::check_urls;
use latchkey::mail::Transport;
use latchkey::secret::{Redactor, Secret};

const PASSWORD: &str = "hunter2";
const NAMES: [&str; 3] = ["DATABASE__URL", "REDIS__URL", "MAIL__SMTP_URL"];

/// Checks that the password is neither in the printed settings, nor in the error if the settings
/// are refused, nor in an error that quotes the URL.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let (Some(scheme), Some(user), Some(rest)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let url = format!("{scheme}://{user}:{PASSWORD}@{rest}");
    if text.contains(PASSWORD) || url.contains('\0') {
        return;
    }
    let _ = Transport::smtp(&Secret::new(url.clone()), "[127.0.0.1]", None)
        .map_err(|error| hidden(&error.to_string()));
    hidden(&Redactor::of_url(&url).redact(&format!("cannot connect to '{url}' or {url:?}")));
    for name in NAMES {
        let environment = BTreeMap::from([
            (format!("LATCHKEY_{name}"), url.clone()),
            (
                "LATCHKEY_SECRETS__MASTER_KEY".to_owned(),
                "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".to_owned(),
            ),
        ]);
        let machine = Machine { cores: 2, log_on_terminal: false };
        let inputs = Inputs { files: Vec::new(), environment: &environment, flags: &[], machine };
        match load(&inputs).and_then(check_urls) {
            Ok(loaded) => {
                loaded.sources.iter().for_each(|shown| hidden(&shown.value.to_string()));
                hidden(&format!("{:?}{:?}", loaded.config, loaded.warnings));
            }
            Err(problems) => hidden(&problems.to_string()),
        }
    }
}

fn hidden(text: &str) {
    assert!(!text.contains(PASSWORD), "{text}");
}
