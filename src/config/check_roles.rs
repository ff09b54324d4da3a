//! The rules about the database roles: the role that serves requests, and the role that migrates.

use super::check::Rules;
use super::layers::Values;
use super::problems::Problem;
use super::url::Url;

/// Checks only what `latchkey migrate` needs.
pub(super) fn check_migrations(
    values: &Values,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    Rules { values, problems, warnings }.migrating_role();
}

impl Rules<'_> {
    /// Checks that a configuration with `database.migrate_url` also names the role that serves.
    pub(super) fn serving_role(&mut self) {
        if self.is_there("database.migrate_url") && !self.is_there("database.url") {
            self.problem(
                "database.migrate_url",
                "is set without `database.url`",
                "set `database.url` to the same database, with the role that serves requests",
            );
        }
    }

    /// Checks that the settings agree on who migrates.
    pub(super) fn migrating_role(&mut self) {
        if !self.is_there("database.migrate_url") {
            return;
        }
        let url = self.values.text("database.url");
        if self.is_there("database.url") && url.is_some_and(|url| url.starts_with("sqlite:")) {
            self.problem(
                "database.migrate_url",
                "is set, but `database.url` is SQLite",
                "remove it, or set `database.url` to PostgreSQL",
            );
        }
        let name = |key| Url::parse(self.values.text(key)?).map(|url| url.path);
        if let (Some(serving), Some(migrating)) =
            (name("database.url"), name("database.migrate_url"))
            && self.is_there("database.url")
            && serving != migrating
        {
            self.warning(
                "database.migrate_url",
                "names another database than `database.url`",
                "use one database name, unless a proxy has another name for it",
            );
        }
        if self.is_there("database.auto_migrate")
            && self.values.read::<bool>("database.auto_migrate") == Some(true)
        {
            self.problem(
                "database.auto_migrate",
                "is true, but with `database.migrate_url` the daemon's role may not migrate",
                "set it to false, and run `latchkey migrate up`",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{KEY, keys, toml};

    const OWNER: &str = "database.migrate_url = 'postgres://owner@db/latchkey'";

    #[test]
    fn the_owners_url_needs_the_url_of_the_role_that_serves() {
        let serving = "database.url = 'postgres://latchkey@db/latchkey'";
        let both =
            toml(&format!("{OWNER}\n{serving}")).variable("LATCHKEY_SECRETS__MASTER_KEY", KEY);
        let database = both.loaded().config.database;
        assert_eq!(database.url.expose(), "postgres://latchkey@db/latchkey");
        let for_migrations = database.for_migrations();
        assert_eq!(for_migrations.url.expose(), "postgres://owner@db/latchkey");
        let settings = (database.url_setting(), for_migrations.url_setting());
        assert_eq!(settings, ("database.url", "database.migrate_url"));
        for other in ["", "\ndatabase.url = 'sqlite://x.db'"] {
            let problems = toml(&format!("{OWNER}{other}")).problems();
            assert_eq!(keys(&problems), ["database.migrate_url"], "{other}");
        }
        let text = "database.auto_migrate = true";
        let problems = both.file("more.toml", text).problems();
        assert_eq!(keys(&problems), ["database.auto_migrate"]);
    }

    #[test]
    fn migrating_needs_the_owners_url_and_no_secret_of_the_daemon() {
        let production = format!("profile = 'production'\n{OWNER}");
        let loaded = toml(&production).load_for_migrations().expect("enough to migrate");
        let database = loaded.config.database.for_migrations();
        assert_eq!(database.url.expose(), "postgres://owner@db/latchkey");
        let sqlite = format!("{production}\ndatabase.url = 'sqlite://x.db'");
        let problems = toml(&sqlite).load_for_migrations().expect_err("two databases").0;
        assert_eq!(keys(&problems), ["database.migrate_url"]);
        let alone = "database.url = 'postgres://latchkey@db/latchkey'";
        let loaded = toml(alone).load_for_migrations().expect("one role migrates and serves");
        let database = loaded.config.database.for_migrations();
        assert_eq!(database.url.expose(), "postgres://latchkey@db/latchkey");
    }

    #[test]
    fn another_database_in_the_owners_url_is_a_warning() {
        for (name, count) in [("latchkey", 0), ("latchkey_old", 1)] {
            let serving = format!("{OWNER}\ndatabase.url = 'postgres://latchkey@db/{name}'");
            let loaded = toml(&serving).load_for_migrations().expect("valid");
            assert_eq!(keys(&loaded.warnings).len(), count, "{name}");
        }
    }

    #[test]
    fn the_owners_url_is_a_secret_and_a_url_of_postgresql() {
        let problems = toml("database.migrate_url = 'sqlite://x.db'").problems();
        assert!(keys(&problems).contains(&"database.migrate_url"), "{problems:?}");
    }
}
