//! The row of one setting in the catalogue.

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

/// The settings below one name; those without one come first.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The name, empty for the settings without a section.
    pub name: &'static str,
    /// What the section is about, as a sentence without its full stop.
    pub about: &'static str,
    pub settings: &'static [Setting],
}

/// A second in milliseconds; a minute, an hour, a day.
pub(super) const S: u64 = 1_000;
pub(super) const M: u64 = 60 * S;
pub(super) const H: u64 = 60 * M;
pub(super) const D: u64 = 24 * H;

/// A published example of 32 bytes; refused in production.
pub const EXAMPLE_KEY: &str = "YW4gZXhhbXBsZSBvZiAzMiBieXRlczogbm90IGtlcHQ=";
