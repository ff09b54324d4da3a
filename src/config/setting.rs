//! The row of one setting in the catalogue.

use Fallback::{Derived, Is, Nothing};

use super::kind::Kind;

#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The path in a file, with dots: `http.tls.cert`.
    pub key: &'static str,
    pub kind: Kind,
    pub fallback: Fallback,
    /// What the setting means, in one or more sentences without its name.
    pub doc: &'static str,
}

/// The value of a setting that no source gives.
#[derive(Clone, Copy, Debug)]
pub enum Fallback {
    /// This text, in the form that an operator would write.
    Is(&'static str),
    /// A value that depends on other settings or on the machine: a description, then an example.
    Derived(&'static str, &'static str),
    /// No value. The text is an example.
    Nothing(&'static str),
}

impl Setting {
    /// The name of the environment variable, such as `LATCHKEY_HTTP__TLS__CERT`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.replace('.', "__").to_ascii_uppercase())
    }

    /// The fixed default, or the example if there is no fixed default.
    pub fn example(&self) -> &'static str {
        match self.fallback {
            Is(text) | Derived(_, text) | Nothing(text) => text,
        }
    }
}

/// The prefix of latchkey's environment variables.
pub const PREFIX: &str = "LATCHKEY_";

/// The settings whose keys start with the same name. The settings without a section form the first
/// section.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The name. It is empty for the settings without a section.
    pub name: &'static str,
    /// What the section is about: a sentence without its full stop.
    pub about: &'static str,
    pub settings: &'static [Setting],
}

/// A second, a minute, an hour and a day in milliseconds.
pub(super) const S: u64 = 1_000;
pub(super) const M: u64 = 60 * S;
pub(super) const H: u64 = 60 * M;
pub(super) const D: u64 = 24 * H;

/// A published example key of 32 bytes. Production refuses it.
pub const EXAMPLE_KEY: &str = "YW4gZXhhbXBsZSBvZiAzMiBieXRlczogbm90IGtlcHQ=";
