//! Accounts out of the database, page by page in the order of their ids: memory stays small, and accounts that are made
//! or removed meanwhile shift nothing.

use sea_orm::DbErr;
use uuid::Uuid;

use super::Record;
use crate::account::operator::{self, Filter};
use crate::database::Db;

/// Rows in a page: half a megabyte in memory.
const PAGE_ROWS: u64 = 1_000;

/// Whether hashes go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashes {
    /// They do: whoever holds the file can guess passwords.
    Included,
    /// They do not: people of the copy set new passwords.
    LeftOut,
}

/// The next page after `after`; empty at the end. The last record's id is where the next one begins.
pub async fn page(db: &Db, after: Uuid, hashes: Hashes) -> Result<Vec<Record>, DbErr> {
    let rows = operator::list(db, &Filter::default(), after, PAGE_ROWS).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut record = Record::from(row);
            if hashes == Hashes::LeftOut {
                record.password_hash = None;
            }
            record
        })
        .collect())
}
