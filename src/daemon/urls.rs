//! Checks the URLs of the stores and of the mail server. The URLs are read in the same way as for a
//! connection.
//!
//! Every command refuses a URL that a driver cannot read, before anything starts. The driver's own
//! error text is not shown, because that text may quote the URL. The same goes for a file of
//! certificate authorities that cannot be used. Every command also refuses a connection that
//! leaves this machine without verified TLS (ASVS 12.3.1, 12.3.2), unless the operator allows it.

use crate::authorities::{Authorities, BadFile};
use crate::config::{self, Config, Loaded, Problem, Problems, Source};
use crate::database::{Protection, check_url, ignored_parameters, protection, verifies};
use crate::mail::Transport;
use crate::store::{ignored_redis_parameters, is_redis_exposed, is_redis_url};

/// Returns a configuration whose URLs can be read. Warns about parameters that have no effect.
pub fn check_urls(mut loaded: Loaded) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let source = |key: &str| {
        let shown = loaded.sources.iter().find(|shown| shown.key == key);
        shown.map_or(Source::Default, |shown| shown.source.clone())
    };
    let problem = |key: &str, what: &str, fix: &str| {
        Problem::new(key, format!("{what}{}", source(key).place()), fix)
    };
    let mut config = loaded.config.clone();
    for (key, file) in [
        ("database.ca_file", &mut config.database.ca_file),
        ("redis.ca_file", &mut config.redis.ca_file),
        ("mail.ca_file", &mut config.mail.ca_file),
    ] {
        if let Some(Err(bad)) = file.as_deref().map(Authorities::check) {
            problems.push(problem(key, &bad.to_string(), BadFile::FIX));
            // The URL is checked without the file, because this problem is already reported.
            *file = None;
        }
    }
    let config = &config;
    let for_migrations = config.database.for_migrations();
    if let Err(bad) = check_url(&config.database) {
        problems.push(if source("database.url") == Source::Default {
            let fix = "choose another folder, or set `database.url`";
            problem("data_dir", "is a path that a URL cannot contain", fix)
        } else {
            problem("database.url", &bad.to_string(), bad.fix())
        });
    }
    if config.database.migrate_url.is_some()
        && let Err(bad) = check_url(&for_migrations)
    {
        problems.push(problem("database.migrate_url", &bad.to_string(), bad.fix()));
    }
    if config.redis.url.as_ref().is_some_and(|url| !is_redis_url(url)) {
        let fix =
            "write it as redis://user:password@host:port/0, with user and password percent-encoded";
        problems.push(problem("redis.url", "is not a URL that the Redis driver can read", fix));
    }
    let smtp = config.mail.smtp_url.as_ref();
    let smtp =
        smtp.map(|url| Transport::smtp(url, &config.mail.helo, config.mail.ca_file.as_deref()));
    if let Some(Err(bad)) = &smtp {
        problems.push(problem("mail.smtp_url", bad.reason(), bad.fix()));
    }
    let of_database = ignored_parameters(&config.database);
    let of_migrations = config.database.migrate_url.as_ref();
    let of_migrations =
        of_migrations.map(|_| ignored_parameters(&for_migrations)).unwrap_or_default();
    let of_redis = config.redis.url.as_ref().map(ignored_redis_parameters).unwrap_or_default();
    let mut warnings = Vec::new();
    for (key, ignored) in [
        ("database.url", of_database),
        ("database.migrate_url", of_migrations),
        ("redis.url", of_redis),
    ] {
        if !ignored.is_empty() {
            let what = format!("has parameters that have no effect: {}", ignored.join(", "));
            warnings.push(problem(key, &what, "remove them from the URL"));
        }
    }
    let is_ca_used = verifies(&config.database) || verifies(&for_migrations);
    if config.database.ca_file.is_some() && !config.database.is_sqlite() && !is_ca_used {
        let what = "has no effect, because the URL does not ask to verify the server";
        warnings.push(problem("database.ca_file", what, "append ?sslmode=verify-full to the URL"));
    }
    if problems.is_empty() {
        let is_mail_exposed = smtp.is_some_and(|smtp| smtp.is_ok_and(|it| it.is_exposed()));
        for exposed in exposed(config, is_mail_exposed) {
            let found = problem(exposed.key, exposed.what, &exposed.fix());
            if exposed.is_refused { problems.push(found) } else { warnings.push(found) }
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    loaded.warnings.extend(warnings);
    Ok(loaded)
}

/// A connection that leaves this machine without verified TLS.
struct Exposed {
    /// The setting that contains the URL.
    key: &'static str,
    what: &'static str,
    /// What to write instead.
    instead: &'static str,
    /// The setting that allows it, if it is refused without that setting.
    allowed_by: &'static str,
    is_refused: bool,
}

impl Exposed {
    fn fix(&self) -> String {
        if !self.is_refused {
            return self.instead.to_owned();
        }
        format!(
            "{}; if the network between the machines is yours, set `{}` to false",
            self.instead, self.allowed_by
        )
    }
}

fn exposed(config: &Config, is_mail_exposed: bool) -> Vec<Exposed> {
    let (database, redis, mail) = (&config.database, &config.redis, &config.mail);
    let mut found: Vec<Exposed> = exposed_database("database.url", database).into_iter().collect();
    if database.migrate_url.is_some() {
        found.extend(exposed_database("database.migrate_url", &database.for_migrations()));
    }
    if redis.url.as_ref().is_some_and(is_redis_exposed) {
        found.push(Exposed {
            key: "redis.url",
            what: "sends the password and sessions without encryption",
            instead: "use rediss:// or rediss+cluster:// (with `redis.ca_file` if the authority is \
                      your own)",
            allowed_by: "redis.tls_required",
            is_refused: redis.tls_required,
        });
    }
    if is_mail_exposed {
        found.push(Exposed {
            key: "mail.smtp_url",
            what: "sends mails and the password without encryption",
            instead: "append ?tls=required or use smtps:// (with `mail.ca_file` if the authority is \
                      your own)",
            allowed_by: "mail.tls_required",
            is_refused: mail.tls_required,
        });
    }
    found
}

/// The setting `key` contains the URL of `database`.
fn exposed_database(key: &'static str, database: &config::Database) -> Option<Exposed> {
    let ca = "append ?sslmode=verify-full (with `database.ca_file` if the authority is your own)";
    match protection(database) {
        protection @ (Protection::None | Protection::Unverified) => Some(Exposed {
            key,
            what: if protection == Protection::None {
                "does not verify the server, and may connect without encryption"
            } else {
                "encrypts the connection, but does not verify the server"
            },
            instead: ca,
            allowed_by: "database.tls_required",
            is_refused: database.tls_required,
        }),
        Protection::AnyName => Some(Exposed {
            key,
            what: "does not verify the name in the server's certificate, so the server of any other \
                   customer of the same authority is accepted",
            instead: "write sslmode=verify-full",
            allowed_by: "database.tls_required",
            is_refused: false,
        }),
        Protection::Local | Protection::Verified => None,
    }
}

#[cfg(test)]
#[path = "urls_tests.rs"]
mod tests;
