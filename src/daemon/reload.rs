//! SIGHUP: reads the configuration again, and applies what can change in a running daemon.
//!
//! A reload applies all changes or none. If the new configuration is not valid, the old
//! configuration stays in force, and so does the old certificate. The values of environment
//! variables and flags stay as they are. The configuration files and the files with secrets are
//! read again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Daemon;
use crate::config::{Config, IntrospectionClient, Loaded, Problems, Shown};
use crate::secret::{MasterKey, Secret};
use crate::telemetry::Exports;

/// The settings whose changes a running daemon applies.
const RELOADED: [&str; 4] =
    ["log.filter", "mail.smtp_url", "captcha.secret", "introspection.clients"];

/// Reads the configuration in the same way as at the start.
pub type Load<'a> = &'a dyn Fn() -> Result<Loaded, Problems>;

/// Receives SIGHUP. The daemon handles this signal from the start on, because SIGHUP ends a process
/// that does not handle it.
pub(super) struct Hangup(Option<Signal>);

impl Hangup {
    pub(super) fn listen() -> Self {
        Self(signal(SignalKind::hangup()).ok())
    }

    /// Waits for one SIGHUP.
    pub(super) async fn heard(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

pub(super) struct Current {
    config: Config,
    sources: Vec<Shown>,
}

impl Current {
    pub(super) fn new(loaded: &Loaded) -> Self {
        Self { config: loaded.config.clone(), sources: loaded.sources.clone() }
    }

    /// Reads the configuration again, and applies the changes that need no restart. Logs which
    /// changes need a restart.
    pub(super) fn reload(&mut self, load: Load<'_>, daemon: &Daemon, exports: &Exports) {
        let loaded = match load() {
            Ok(loaded) => loaded,
            Err(problems) => {
                for problem in &problems.0 {
                    tracing::error!(setting = problem.key, fix = problem.fix, "{}", problem.what);
                }
                tracing::error!(
                    problems = problems.0.len(),
                    "the configuration was not reloaded, so the old configuration stays in force"
                );
                return;
            }
        };
        let (old, new) = (&self.config, &loaded.config);
        let mut changed = Vec::new();
        if let Err(error) = self.apply(new, daemon, exports, &mut changed) {
            tracing::error!(
                error,
                "the configuration was not reloaded, so the old configuration stays in force"
            );
            return;
        }
        if let Some(tls) = &daemon.tls {
            tls.reload_now();
        }
        let waiting = waiting((old, &self.sources), (new, &loaded.sources));
        if !waiting.is_empty() {
            let settings = waiting.join(", ");
            tracing::warn!(
                settings,
                "these settings have changed and need a restart of the daemon"
            );
        }
        tracing::info!(changed = changed.join(", "), "the configuration was reloaded");
        // A setting that waits for a restart is not in force, so the next reload reports it again.
        self.config.log = loaded.config.log;
        if self.config.mail.smtp_url.is_some() && loaded.config.mail.smtp_url.is_some() {
            self.config.mail.smtp_url = loaded.config.mail.smtp_url;
        }
        self.config.captcha.secret = loaded.config.captcha.secret;
        self.config.introspection.clients = loaded.config.introspection.clients;
    }

    fn apply(
        &self,
        new: &Config,
        daemon: &Daemon,
        exports: &Exports,
        changed: &mut Vec<&'static str>,
    ) -> Result<(), String> {
        let old = &self.config;
        if let (Some(before), Some(url)) = (&old.mail.smtp_url, &new.mail.smtp_url)
            && before.expose() != url.expose()
        {
            let replaced =
                daemon.mailer.transport().replace(url, &old.mail.helo, old.mail.ca_file.as_deref());
            replaced.map_err(|error| error.to_string())?;
            changed.push("mail.smtp_url");
        }
        if old.log.filter != new.log.filter {
            let set = exports.set_filter(&new.log.filter);
            set.map_err(|error| format!("log.filter: {error}"))?;
            changed.push("log.filter");
        }
        if let (Some(vendor), Some(secret)) = (daemon.app.captcha.vendor(), &new.captcha.secret)
            && text(old.captcha.secret.as_ref()) != text(Some(secret))
        {
            vendor.replace_secret(secret.clone());
            changed.push("captcha.secret");
        }
        if clients(&old.introspection.clients) != clients(&new.introspection.clients) {
            let clients = new.introspection.clients.clone();
            daemon.app.introspection_clients.store(std::sync::Arc::new(clients));
            changed.push("introspection.clients");
        }
        Ok(())
    }
}

/// Returns the names of the settings whose changes need a restart. Compares the values that can be
/// shown, and also the secrets.
fn waiting(
    (old, old_shown): (&Config, &[Shown]),
    (new, new_shown): (&Config, &[Shown]),
) -> Vec<&'static str> {
    let shown = old_shown.iter().zip(new_shown).filter(|(old, new)| old.value != new.value);
    let mut names: Vec<&'static str> = shown.map(|(old, _)| old.key).collect();
    let urls = [
        ("database.url", Some(&old.database.url), Some(&new.database.url)),
        ("redis.url", old.redis.url.as_ref(), new.redis.url.as_ref()),
        ("tokens.secret", old.tokens.secret.as_ref(), new.tokens.secret.as_ref()),
    ];
    names.extend(urls.iter().filter(|(_, old, new)| text(*old) != text(*new)).map(|it| it.0));
    let print = |key: Option<&MasterKey>| key.map(|key| *key.derive("reload").expose());
    let masters = [
        ("secrets.master_key", old.secrets.master_key.as_ref(), new.secrets.master_key.as_ref()),
        (
            "secrets.master_key_previous",
            old.secrets.master_key_previous.as_ref(),
            new.secrets.master_key_previous.as_ref(),
        ),
    ];
    names.extend(masters.iter().filter(|(_, old, new)| print(*old) != print(*new)).map(|it| it.0));
    let peppers = |config: &Config| -> Vec<(u16, Vec<u8>)> {
        let all = config.password.pepper.iter().chain(&config.password.pepper_previous);
        all.map(|it| (it.version, it.key.expose().clone())).collect()
    };
    if peppers(old) != peppers(new) {
        names.push("password.pepper");
    }
    // The daemon decides at its start whether it uses SMTP at all.
    let stays = old.mail.smtp_url.is_some() == new.mail.smtp_url.is_some();
    names.retain(|name| !RELOADED.contains(name) || (*name == "mail.smtp_url" && !stays));
    names.sort_unstable();
    names.dedup();
    names
}

fn text(secret: Option<&Secret<String>>) -> Option<&str> {
    secret.map(|secret| secret.expose().as_str())
}

fn clients(all: &[IntrospectionClient]) -> Vec<(&str, &str)> {
    all.iter().map(|it| (it.id.as_str(), it.secret.expose().as_str())).collect()
}
