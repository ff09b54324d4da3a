//! The schemas that this binary works on: from the one with every migration it knows of, up to the last that only adds.

use std::collections::HashSet;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, Statement};

use crate::Migrator;

/// In the name of a migration that takes something away: `m20270301_000009_contract_…`. The release before last does not work
/// after it. Every other migration only adds, and the release before works on beside it.
pub const CONTRACT: &str = "_contract_";

/// A database's schema, as this binary sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Migrations that it lacks, oldest first: below the window.
    pub pending: Vec<String>,
    /// Migrations of later releases that it has, oldest first.
    pub newer: Vec<String>,
}

impl Schema {
    /// Reads it; the database is not changed.
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
        let mut newer: Vec<String> = applied.into_iter().collect();
        newer.sort();
        Self { pending, newer }
    }

    /// The first migration that took away what this binary needs: above the window.
    pub fn contracted(&self) -> Option<&str> {
        self.newer.iter().map(String::as_str).find(|name| name.contains(CONTRACT))
    }

    /// What keeps `migrate up` of this binary from doing anything, in words.
    pub fn beyond(&self) -> Option<String> {
        if let Some(name) = self.contracted() {
            return Some(format!("the schema is too new for this release: it has {name}"));
        }
        let (known, newer) = (self.pending.first()?, self.newer.first()?);
        Some(format!("the schema has {newer} of a later release, but not {known}"))
    }
}

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
        assert_eq!((added.contracted(), added.beyond()), (None, None));
        let taken = with(&["m29990101_000099_colours", "m29990201_000100_contract_names"]);
        assert_eq!(taken.contracted(), Some("m29990201_000100_contract_names"));
        assert!(taken.beyond().is_some_and(|words| words.contains("too new")));
    }

    #[test]
    fn a_schema_of_two_branches_is_not_migrated() {
        let schema = Schema::from_names(HashSet::from(["m29990101_000099_colours".to_owned()]));
        assert_eq!(schema.pending.len(), Migrator::get_migration_files().len());
        assert!(schema.beyond().is_some_and(|words| words.contains("but not m20261123_000001")));
    }
}
