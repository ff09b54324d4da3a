//! The sections of the [catalogue](super::catalogue), in order.

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
    ("audit", "The record of who did what"),
    ("log", "The log"),
    ("telemetry", "Export over OTLP; the standard `OTEL_*` variables win, see `docs/telemetry.md`"),
];
