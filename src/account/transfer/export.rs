//! The export of accounts: it reads them from the database page by page, in the order of their ids.
//! So it needs little memory, and accounts that are created or deleted meanwhile do not shift the
//! pages.

use sea_orm::DbErr;
use uuid::Uuid;

use super::Record;
use crate::account::operator::{self, Filter};
use crate::database::Db;

/// Rows in a page, which is about 0.5 MB of memory.
const PAGE_ROWS: u64 = 1_000;

/// Whether the export contains password hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashes {
    /// It contains them. A reader of the file can try passwords against them.
    Included,
    /// It does not contain them. Users of an imported copy have to set new passwords.
    LeftOut,
}

/// Returns the page after `after`, or an empty page at the end. The next page begins after the id
/// of the last record.
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
