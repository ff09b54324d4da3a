//! What an operator can set: the typed result of defaults, files and environment. Loading, checking and printing live
//! in the files beside this one; everything else sees only [`Config`], which is complete and valid.

mod assemble;
pub mod catalogue;
mod check;
mod check_egress;
mod derive;
mod environment;
mod file;
mod holds;
mod json;
mod kind;
mod layers;
mod load;
mod mailbox;
mod problems;
mod rate_limits;
pub mod reference;
mod schema;
mod setting;
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
pub use load::{DEFAULT_FILE, Inputs, Loaded, Machine, files, load};
pub use mailbox::MailboxBarrier;
pub use problems::{Problem, Problems, table};
pub use rate_limits::RateLimits;
pub use schema::schema;
pub use show::Shown;
pub use source::Source;
pub use telemetry::Telemetry;
pub(crate) use url::{Url, is_loopback};
pub use words::{
    CaptchaFallback, CaptchaPoint, CaptchaProvider, ExposeExistence, LogFormat, PasswordEngine,
    Profile, RegistrationMode, VaultAlgorithm,
};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::secret::{MasterKey, Secret};

/// Every setting, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `profile`.
    pub profile: Profile,
    /// `public_url` without a trailing slash: the base of every link.
    pub public_url: String,
    /// `data_dir`.
    pub data_dir: PathBuf,
    /// `http.*`
    pub http: Http,
    /// `admin.listen`
    pub admin_listen: SocketAddr,
    /// `database.*`
    pub database: Database,
    /// `redis.url`; none means the embedded token store.
    pub redis_url: Option<Secret<String>>,
    /// `mail.*`
    pub mail: Mail,
    /// `captcha.*`
    pub captcha: Captcha,
    /// `tokens.*`
    pub tokens: Tokens,
    /// `secrets.master_key`; none means: made in (or read from) `data_dir` by the daemon, embedded mode only.
    pub master_key: Option<MasterKey>,
    /// `secrets.master_key_previous`
    pub master_key_previous: Option<MasterKey>,
    /// `sessions.*`
    pub sessions: Sessions,
    /// `verification.ttl`
    pub verification_ttl: Duration,
    /// `recovery.ttl`
    pub recovery_ttl: Duration,
    /// `registration.*`
    pub registration: Registration,
    /// `password.*`
    pub password: Password,
    /// `introspection.clients`
    pub introspection_clients: Vec<IntrospectionClient>,
    /// `rate_limit.*`
    pub rate_limit: RateLimits,
    /// `teams.*`
    pub teams: Teams,
    /// `audit.retention`
    pub audit_retention: Duration,
    /// `log.*`
    pub log: Log,
    /// `telemetry.*`, and the standard `OTEL_*` over it.
    pub telemetry: Telemetry,
}

/// `http.*`
#[derive(Clone, Debug)]
pub struct Http {
    /// Where the public listener binds.
    pub listen: SocketAddr,
    /// `http.tls.cert` and `http.tls.key`, both or none (PEM).
    pub tls: Option<TlsFiles>,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins that may call from a browser; exact.
    pub cors_origins: Vec<String>,
    /// Connections open at once.
    pub max_connections: usize,
    /// Connections that one address (IPv6: /64) may hold; trusted proxies any number.
    pub max_connections_per_source: usize,
    /// Requests in work at once.
    pub max_in_flight: usize,
    /// How long a stopping daemon keeps serving after it reports unready.
    pub drain_delay: Duration,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain.
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// `database.*`
#[derive(Clone, Debug)]
pub struct Database {
    /// `sqlite://path` or `postgres://…`.
    pub url: Secret<String>,
    /// Migrate on start.
    pub auto_migrate: bool,
    /// Connections to PostgreSQL (SQLite: readers beside the one writer).
    pub max_connections: u32,
}

/// `mail.*`
#[derive(Clone, Debug)]
pub struct Mail {
    /// None: the built-in mailbox.
    pub smtp_url: Option<Secret<String>>,
    /// The sender, as `Name <address>` or an address.
    pub from: String,
    /// Whether people are told by mail of log-ins from a new device.
    pub new_device: bool,
}

/// `captcha.*`
#[derive(Clone, Debug)]
pub struct Captcha {
    /// Who checks.
    pub provider: CaptchaProvider,
    /// Where one is asked for.
    pub on: Vec<CaptchaPoint>,
    /// The vendor's secret.
    pub secret: Option<Secret<String>>,
    /// The vendor's public key of this site.
    pub site_key: Option<String>,
    /// Hosts of the pages that show the vendor's widget, in lower case.
    pub hostnames: Vec<String>,
    /// The least score of reCAPTCHA v3, from 0 to 1; without it the keys are of v2.
    pub min_score: Option<f64>,
    /// The vendor's siteverify, where it is not the usual one.
    pub verify_url: Option<String>,
    /// Fall back to the built-in proof of work when the vendor does not answer.
    pub fallback: CaptchaFallback,
}

/// `tokens.*`
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Of the vaultToken.
    pub algorithm: VaultAlgorithm,
    /// `iss`.
    pub issuer: String,
    /// `aud` of the vaultToken.
    pub audience: String,
    /// The shared secret, with HS256 alone.
    pub secret: Option<Secret<String>>,
    /// How long a userToken lives.
    pub user_ttl: Duration,
    /// How long a vaultToken lives.
    pub vault_ttl: Duration,
    /// How long a key signs before another takes its place.
    pub rotate_every: Duration,
}

/// One of `introspection.clients`: a resource server of the operator.
#[derive(Clone, Debug)]
pub struct IntrospectionClient {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: Secret<String>,
}

/// `sessions.*`
#[derive(Clone, Copy, Debug)]
pub struct Sessions {
    /// From the last refresh.
    pub idle_ttl: Duration,
    /// From the log-in; never slides.
    pub absolute_ttl: Duration,
    /// How long the token before the current one is still answered.
    pub refresh_grace: Duration,
}

/// `registration.*`
#[derive(Clone, Debug)]
pub struct Registration {
    /// Who may register.
    pub mode: RegistrationMode,
    /// With [`RegistrationMode::Domains`]: which domains, in lower-case A-labels.
    pub domains: Vec<String>,
    /// When an unverified account is collected.
    pub unverified_ttl: Duration,
    /// Who may ask whether an address has an account.
    pub expose_existence: ExposeExistence,
}

/// `password.*`
#[derive(Clone, Debug)]
pub struct Password {
    /// argon2's m in KiB.
    pub memory_kib: u32,
    /// argon2's t.
    pub iterations: u32,
    /// argon2's p.
    pub parallelism: u32,
    /// In code points after NFC.
    pub min_length: usize,
    /// Hashes computed at once; memory is `workers × memory_kib`.
    pub workers: usize,
    /// Which code computes them.
    pub engine: PasswordEngine,
    /// Key of an HMAC in front of new hashes.
    pub pepper: Option<Pepper>,
    /// Keys of older hashes; each version once, and not `pepper`'s.
    pub pepper_previous: Vec<Pepper>,
    /// A range service for breached passwords (k-anonymity); none: not asked.
    pub breach_url: Option<String>,
}

/// One of `password.pepper` and `password.pepper_previous`
#[derive(Clone, Debug)]
pub struct Pepper {
    /// What hashes under it are marked with, 1 to 9999.
    pub version: u16,
    /// At least 32 bytes.
    pub key: Secret<Vec<u8>>,
}

/// `teams.*`
#[derive(Clone, Copy, Debug)]
pub struct Teams {
    /// Teams that one person may be in: deleting an account looks at each, one statement after another.
    pub max_per_user: u64,
    /// Projects of one team.
    pub projects_max: u64,
    /// Members of one team, with open invitations.
    pub members_max: u64,
    /// Keys of one team.
    pub keys_max: u64,
    /// Invitations that one team mails in a day: what a stranger's own team can send in our name.
    pub invitations_per_day: u32,
}

/// `log.*`
#[derive(Clone, Debug)]
pub struct Log {
    /// One JSON object a line, or for people.
    pub format: LogFormat,
    /// As `tracing`'s EnvFilter reads it.
    pub filter: String,
    /// Whether it is for a terminal that may show colours.
    pub is_coloured: bool,
}

impl Config {
    /// Whether nothing but this machine is used: SQLite, the embedded token store, the built-in mailbox, and nobody else
    /// is asked or told.
    pub fn is_embedded(&self) -> bool {
        let telemetry = &self.telemetry;
        let exports = [&telemetry.traces, &telemetry.metrics, &telemetry.logs];
        self.database.is_sqlite()
            && self.redis_url.is_none()
            && self.mail.smtp_url.is_none()
            && self.password.breach_url.is_none()
            && matches!(self.captcha.provider, CaptchaProvider::Altcha | CaptchaProvider::None)
            && exports.iter().all(|export| export.is_none())
    }
}

impl Database {
    /// Whether the database is a file of ours.
    pub fn is_sqlite(&self) -> bool {
        self.url.expose().starts_with("sqlite:")
    }
}
