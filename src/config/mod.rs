//! The settings of the daemon: their declarations, the sources of their values, and the checked
//! result.
//!
//! Code outside this module sees only [`Config`], which is complete and valid. `settings/` declares
//! each setting once. [`load`] merges defaults, files, environment variables and flags, and checks
//! the result.

mod check;
mod check_egress;
mod check_roles;
mod derive;
mod environment;
mod file;
mod holds;
mod json;
mod kind;
mod layers;
mod load;
mod mailbox;
mod passkeys;
mod problems;
mod read;
pub mod reference;
mod schema;
mod setting;
pub mod settings;
mod show;
mod source;
pub mod telemetry;
#[cfg(test)]
mod tests;
mod text;
mod url;
mod words;

pub use environment::{process_arguments, process_environment, wants_no_color};
pub use file::ConfigFile;
pub use kind::{Item, Kind};
pub use load::{DEFAULT_FILE, Inputs, Loaded, Machine, files, load, load_for_migrations};
pub use mailbox::MailboxBarrier;
pub use passkeys::Passkeys;
pub use problems::{Problem, Problems, table};
pub use schema::schema;
pub use settings::{
    Audit, Captcha, Config, Database, Factors, Http, Log, Mail, Password, RateLimits, Registration,
    Sessions, Teams, TlsFiles, Tokens,
};
pub use show::Shown;
pub use source::Source;
pub use telemetry::Telemetry;
pub(crate) use url::{Url, escape_hint, is_loopback, is_loopback_in_browsers};
pub use words::{
    CaptchaFallback, CaptchaPoint, CaptchaProvider, ExposeExistence, LogFormat, PasswordEngine,
    Profile, RegistrationMode, VaultAlgorithm,
};

use crate::secret::Secret;

/// A resource server of the operator: one item of `introspection.clients`.
#[derive(Clone, Debug)]
pub struct IntrospectionClient {
    /// The client's `client_id`.
    pub id: String,
    /// The client's `client_secret`.
    pub secret: Secret<String>,
}

/// A key of `password.pepper` or `password.pepper_previous`.
#[derive(Clone, Debug)]
pub struct Pepper {
    /// A number from 1 to 9999. It marks the hashes that use this key.
    pub version: u16,
    /// The key, which has at least 32 bytes.
    pub key: Secret<Vec<u8>>,
}

impl Config {
    /// The origin of `public_url`, in the form in which a browser sends it.
    pub fn public_origin(&self) -> Option<String> {
        kind::origin(&self.public_url).ok()
    }

    /// Whether the daemon uses no other service. If so, it uses SQLite, the embedded token store
    /// and the built-in mailbox. It uses no captcha vendor, no service of breached passwords and no
    /// collector.
    pub fn is_embedded(&self) -> bool {
        let telemetry = &self.telemetry;
        let exports = [&telemetry.traces, &telemetry.metrics, &telemetry.logs];
        self.database.is_sqlite()
            && self.redis.url.is_none()
            && self.mail.smtp_url.is_none()
            && self.password.breach_url.is_none()
            && matches!(self.captcha.provider, CaptchaProvider::Altcha | CaptchaProvider::None)
            && exports.iter().all(|export| export.is_none())
    }
}
