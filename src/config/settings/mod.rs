//! Every setting, declared once: its field, type, name, kind, default and description.
//!
//! One file holds the settings of related sections. The field of [`Config`], the row of the
//! catalogue and the code that reads the value are generated from a declaration. Files, variables,
//! the JSON Schema, `config init`, `config print` and `docs/configuration.md` use these. So a new
//! setting needs only one declaration.

mod accounts;
mod captcha;
mod http;
mod limits;
mod mail;
mod stores;
mod telemetry;
mod tokens;

use std::path::PathBuf;

pub use accounts::{Password, Registration};
pub use captcha::Captcha;
pub use http::{Admin, Http, TlsFiles};
pub use limits::{Audit, RateLimits, Teams};
pub use mail::Mail;
pub use stores::{Database, Redis};
pub use telemetry::{Log, TelemetrySettings};
pub use tokens::{
    Factors, Introspection, Recovery, Secrets, Sessions, Tokens, Verification, Webauthn,
};

use super::kind::Kind::{BaseUrl, Path, Word};
use super::layers::Values;
use super::setting::Fallback::{Derived, Is};
use super::setting::{Section, Setting};
use super::telemetry::Telemetry;
use super::words::Profile;

/// Declares the settings of one section: a struct with one field for each setting, and the rows of
/// these settings in the catalogue.
///
/// The description of a setting is the field's doc comment.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        $name:ident $(: $copy:ident)? = $section:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $key:literal, $kind:expr, $fallback:expr;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug $(, $copy)?)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl $name {
            /// The rows of the catalogue.
            pub(in crate::config) const SECTION: $crate::config::setting::Section =
                $crate::config::setting::Section {
                    name: $section,
                    about: concat!($($about),+).trim_ascii_start(),
                    settings: &[$($crate::config::setting::Setting {
                        key: $key,
                        kind: $kind,
                        fallback: $fallback,
                        doc: concat!($($doc),+).trim_ascii_start(),
                    }),+],
                };

            /// The values of the section. `None` if a required value is missing.
            pub(in crate::config) fn read(
                values: &$crate::config::layers::Values,
            ) -> Option<Self> {
                Some(Self { $($field: values.read($key)?,)+ })
            }
        }
    };
}
use settings;

settings! {
    /// The daemon as a whole
    Daemon = "" {
        /// How strict the checks of the configuration are. `production` refuses everything that is
        /// unsafe on a public network: the built-in mailbox, cheap password hashes, plain http and
        /// published example keys.
        profile: Profile = "profile", Word(Profile::WORDS), Is("development");
        /// The URL at which clients reach the daemon. It is the issuer of tokens and the base of
        /// every link.
        public_url: String = "public_url", BaseUrl,
            Derived(
                "`http://` (`https://` if TLS is on), followed by `http.listen`",
                "https://auth.example.com",
            );
        /// The folder for data on this machine: the SQLite database, the master key, the mails of
        /// the built-in mailbox, and the key of that mailbox. The folder is created with mode 0700.
        data_dir: PathBuf = "data_dir", Path, Is("./data");
    }
}

/// Declares [`Config`]: the settings without a section, and one field for each section.
macro_rules! config {
    ($($field:ident: $section:ident,)+) => {
        /// All settings after the checks.
        #[derive(Clone, Debug)]
        pub struct Config {
            /// `profile`
            pub profile: Profile,
            /// `public_url` without a trailing slash: the base of every link.
            pub public_url: String,
            /// `data_dir`
            pub data_dir: PathBuf,
            $(#[doc = concat!("`", stringify!($field), ".*`")] pub $field: $section,)+
            /// `telemetry.*`, overridden by the standard `OTEL_*` variables.
            pub telemetry: Telemetry,
            /// Whether the log goes to a terminal that may show colours.
            pub log_is_coloured: bool,
        }

        /// The sections in the order of the documentation.
        pub const SECTIONS: &[Section] =
            &[Daemon::SECTION, $($section::SECTION,)+ TelemetrySettings::SECTION];

        impl Config {
            /// The configuration. `None` if a required value is missing or was refused.
            pub(super) fn read(
                values: &Values,
                telemetry: Telemetry,
                log_is_coloured: bool,
            ) -> Option<Self> {
                let Daemon { profile, public_url, data_dir } = Daemon::read(values)?;
                Some(Self {
                    profile,
                    public_url,
                    data_dir,
                    $($field: $section::read(values)?,)+
                    telemetry,
                    log_is_coloured,
                })
            }
        }
    };
}

config! {
    http: Http,
    admin: Admin,
    database: Database,
    redis: Redis,
    mail: Mail,
    captcha: Captcha,
    tokens: Tokens,
    secrets: Secrets,
    sessions: Sessions,
    factors: Factors,
    webauthn: Webauthn,
    verification: Verification,
    recovery: Recovery,
    registration: Registration,
    password: Password,
    rate_limit: RateLimits,
    introspection: Introspection,
    teams: Teams,
    audit: Audit,
    log: Log,
}

/// Every setting, in the order of the sections.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// The setting of this name.
pub fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}
