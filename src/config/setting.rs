//! What the catalogue says of one setting.

use Fallback::{Derived, Is, Nothing};

use super::kind::Kind;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The path in a file, with dots: `http.tls.cert`.
    pub key: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What holds where it is not given.
    pub fallback: Fallback,
    /// What it means, in a sentence or two without the name.
    pub doc: &'static str,
}

/// What holds where a setting is not given.
#[derive(Clone, Copy, Debug)]
pub enum Fallback {
    /// This text, as a person would write it.
    Is(&'static str),
    /// What other settings or the machine say; in words, then an example.
    Derived(&'static str, &'static str),
    /// Nothing; an example.
    Nothing(&'static str),
}

impl Setting {
    /// The variable's name: `LATCHKEY_HTTP__TLS__CERT`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.replace('.', "__").to_ascii_uppercase())
    }

    /// The default, or the example where the default is no fixed text.
    pub fn example(&self) -> &'static str {
        match self.fallback {
            Is(text) | Derived(_, text) | Nothing(text) => text,
        }
    }
}

/// In front of every variable of ours.
pub const PREFIX: &str = "LATCHKEY_";

/// What each section is about; the settings without one come first.
pub const SECTIONS: &[(&str, &str)] = &[
    ("", "The daemon as a whole"),
    ("http", "The public listener"),
    ("admin", "The listener of probes and metrics; never expose it"),
    ("database", "Users, teams and everything else that must not be lost"),
    ("redis", "The token store: sessions, mailed tokens, budgets"),
    ("mail", "Sending mail"),
    ("captcha", "Proof that a person or a patient machine asks"),
    ("tokens", "The two tokens"),
    ("secrets", "Keys of the daemon's own"),
    ("sessions", "How long a sign-in lasts"),
    ("verification", "The link that confirms an address"),
    ("recovery", "The link that sets a new password"),
    ("registration", "Who may have an account"),
    ("password", "Rules for passwords, and what a hash costs"),
    ("rate_limit", "Limits per address, account and mailbox"),
    ("introspection", "Resource servers of the operator"),
    ("teams", "How much one person or one team may have"),
    ("audit", "The record of who did what"),
    ("log", "The log"),
    ("telemetry", "Export over OTLP; the standard `OTEL_*` variables win, see `docs/telemetry.md`"),
];

/// A second in milliseconds; a minute, an hour, a day.
pub(super) const S: u64 = 1_000;
pub(super) const M: u64 = 60 * S;
pub(super) const H: u64 = 60 * M;
pub(super) const D: u64 = 24 * H;

/// 32 bytes that everybody knows; refused in production.
pub const EXAMPLE_KEY: &str = "YW4gZXhhbXBsZSBvZiAzMiBieXRlczogbm90IGtlcHQ=";

/// A row of the catalogue.
pub(super) const fn new(
    key: &'static str,
    kind: Kind,
    fallback: Fallback,
    doc: &'static str,
) -> Setting {
    Setting { key, kind, fallback, doc }
}
