//! Checks the URLs of the stores and of the mail server. The URLs are read in the same way as for a
//! connection.
//!
//! Every command refuses a URL that a driver cannot read, before anything starts. The driver's own
//! error text is not shown, because that text may quote the URL.

use crate::config::{Loaded, Problem, Problems, Source};
use crate::database::{check_url, ignored_parameters};
use crate::mail::Transport;
use crate::store::{ignored_redis_parameters, is_redis_url};

/// Returns a configuration whose URLs can be read. Warns about parameters that have no effect.
pub fn check_urls(mut loaded: Loaded) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let source = |key: &str| {
        let shown = loaded.sources.iter().find(|shown| shown.key == key);
        shown.map_or(Source::Default, |shown| shown.source.clone())
    };
    let mut refuse = |key: &str, what: &str, fix: &str| {
        problems.push(Problem::new(key, format!("{what}{}", source(key).place()), fix));
    };
    let config = &loaded.config;
    if let Err(bad) = check_url(&config.database) {
        if source("database.url") == Source::Default {
            let fix = "choose another folder, or set `database.url`";
            refuse("data_dir", "is a path that a URL cannot contain", fix);
        } else {
            refuse("database.url", &bad.to_string(), bad.fix());
        }
    }
    if config.database.migrate_url.is_some()
        && let Err(bad) = check_url(&config.database.for_migrations())
    {
        refuse("database.migrate_url", &bad.to_string(), bad.fix());
    }
    if config.redis.url.as_ref().is_some_and(|url| !is_redis_url(url)) {
        let fix =
            "write it as redis://user:password@host:port/0, with user and password percent-encoded";
        refuse("redis.url", "is not a URL that the Redis driver can read", fix);
    }
    let smtp = |url| Transport::smtp(url, &config.mail.helo);
    if let Some(Err(bad)) = config.mail.smtp_url.as_ref().map(smtp) {
        refuse("mail.smtp_url", bad.reason(), bad.fix());
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let of_database = ignored_parameters(&config.database);
    let of_redis = config.redis.url.as_ref().map(ignored_redis_parameters).unwrap_or_default();
    let warnings =
        [("database.url", of_database), ("redis.url", of_redis)].map(|(key, ignored)| {
            let what = || {
                format!(
                    "has parameters that have no effect{}: {}",
                    source(key).place(),
                    ignored.join(", ")
                )
            };
            (!ignored.is_empty()).then(|| Problem::new(key, what(), "remove them from the URL"))
        });
    loaded.warnings.extend(warnings.into_iter().flatten());
    Ok(loaded)
}
