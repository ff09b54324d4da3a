//! The schemas with which this binary can work. Such a schema has every migration that the binary
//! knows. It may also have migrations of later releases, if each of them only adds something.

use std::collections::HashSet;
use std::fmt;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, Statement};

use crate::Migrator;
use crate::baseline::NAME;

/// This text in the name of a migration means that the migration removes something. An example is
/// `m20270301_000009_contract_…`. After this migration, the release that is two releases older no
/// longer works. Every other migration only adds something, so the last release before it still
/// works.
pub const CONTRACT: &str = "_contract_";

/// The schema of a database, compared with the migrations of this binary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Migrations that the database lacks, the oldest first. If there are any, the schema is too
    /// old.
    pub pending: Vec<String>,
    /// Migrations of later releases that the database has, the oldest first.
    pub newer: Vec<String>,
    /// The newest migration in the database that belongs to a development version from before the
    /// baseline. No release can use or convert a schema with such a migration.
    pub development: Option<String>,
}

impl Schema {
    /// Reads the schema and does not change the database.
    pub async fn of<'c, C: IntoSchemaManagerConnection<'c>>(db: C) -> Result<Self, DbErr> {
        let manager = SchemaManager::new(db);
        let table = Migrator::migration_table_name().to_string();
        let mut applied = HashSet::new();
        if manager.has_table(&table).await? {
            let db = manager.get_connection();
            let sql = format!("SELECT version FROM {table}");
            let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql));
            for row in rows.await? {
                applied.insert(row.try_get::<String>("", "version")?);
            }
        }
        Ok(Self::from_names(applied))
    }

    fn from_names(mut applied: HashSet<String>) -> Self {
        let mut pending = Vec::new();
        for known in Migrator::get_migration_files() {
            if !applied.remove(known.name()) {
                pending.push(known.name().to_owned());
            }
        }
        let mut unknown: Vec<String> = applied.into_iter().collect();
        unknown.sort();
        let newer = unknown.split_off(unknown.partition_point(|name| name.as_str() < NAME));
        Self { pending, newer, development: unknown.pop() }
    }

    /// The reason why this binary cannot run with the schema. None if it can run. A daemon also
    /// runs with a schema that lacks migrations, but it is not ready.
    pub fn unusable(&self) -> Option<Outside> {
        if let Some(name) = &self.development {
            let what = format!(
                "the schema is of a development version from before 0.1.0: it contains the \
                 migration {name}"
            );
            let fix = "export the users with that version (`latchkey users export \
                       --with-password-hashes`), use an empty database (with SQLite: another \
                       `data_dir`), and import them there";
            return Some(Outside { what, fix });
        }
        let name = self.newer.iter().find(|name| name.contains(CONTRACT))?;
        let what =
            format!("the schema is too new for this release: it contains the migration {name}");
        Some(Outside { what, fix: RUN_THE_OTHER })
    }

    /// The reason why `migrate up` of this binary can do nothing with the schema. None if it can
    /// migrate the schema.
    pub fn beyond(&self) -> Option<Outside> {
        if let Some(outside) = self.unusable() {
            return Some(outside);
        }
        let (known, newer) = (self.pending.first()?, self.newer.first()?);
        let what = format!(
            "the schema contains the migration {newer} of a later release, but not {known}"
        );
        Some(Outside { what, fix: RUN_THE_OTHER })
    }
}

const RUN_THE_OTHER: &str = "run the release of latchkey that migrated the schema";

/// Why this binary cannot work with a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    pub what: String,
    /// What the operator can do, written as an instruction.
    pub fix: &'static str,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.fix)
    }
}

impl std::error::Error for Outside {}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(more: &[&str]) -> Schema {
        let known = Migrator::get_migration_files();
        let names = known.iter().map(|one| one.name().to_owned());
        Schema::from_names(names.chain(more.iter().map(|&name| name.to_owned())).collect())
    }

    #[test]
    fn a_later_release_may_add_but_not_take_away() {
        assert_eq!(with(&[]), Schema::default());
        let added = with(&["m29990101_000099_colours"]);
        assert_eq!((added.unusable(), added.beyond()), (None, None));
        let taken = with(&["m29990101_000099_colours", "m29990201_000100_contract_names"]);
        assert_eq!(taken.unusable().map(|it| it.fix), Some(RUN_THE_OTHER));
        assert!(taken.beyond().is_some_and(|it| it.what.contains("too new")));
    }

    #[test]
    fn a_schema_of_a_development_version_is_named() {
        let names = ["m20261123_000001_foundation", "m20261201_000007_store_probe"];
        let schema = Schema::from_names(names.map(str::to_owned).into());
        assert_eq!(schema.development.as_deref(), Some("m20261201_000007_store_probe"));
        assert!(schema.beyond().is_some_and(|it| it.what.contains("development version")));
        assert_eq!(with(&names).development.as_deref(), Some("m20261201_000007_store_probe"));
    }

    #[test]
    fn a_schema_of_two_branches_is_not_migrated() {
        let schema = Schema::from_names(HashSet::from(["m29990101_000099_colours".to_owned()]));
        assert_eq!(schema.pending.len(), Migrator::get_migration_files().len());
        let lacks = format!("but not {NAME}");
        assert!(schema.beyond().is_some_and(|it| it.what.contains(&lacks)));
    }
}
