//! The export of accounts. It reads the accounts from the database page by page, in the order of
//! their ids. So it needs little memory, and if accounts are created or deleted during the export,
//! no other account is skipped or exported twice.

use std::collections::HashMap;

use sea_orm::DbErr;
use uuid::Uuid;

use super::Record;
use super::factors::FactorRecord;
use crate::account::operator::{self, Filter};
use crate::database::Db;
use crate::factor::table;

/// The number of rows in a page. A page takes about 0.5 MB of memory.
const PAGE_ROWS: u64 = 1_000;

/// Whether the export contains password hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashes {
    /// The export contains the hashes. A person who can read the file can test passwords against
    /// the hashes.
    Included,
    /// The export contains no hashes. After an import of this file, the users have to set new
    /// passwords.
    LeftOut,
}

/// Returns the accounts after the id `after`, or an empty page if there are none. Use the id of the
/// page's last record as `after` for the page that follows.
pub async fn page(db: &Db, after: Uuid, hashes: Hashes) -> Result<Vec<Record>, DbErr> {
    let rows = operator::list(db, &Filter::default(), after, PAGE_ROWS).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut factors: HashMap<Uuid, Vec<FactorRecord>> = HashMap::new();
    for factor in table::of_users(db.reader(), &ids).await? {
        factors.entry(factor.user_id).or_default().push(factor.into());
    }
    Ok(rows
        .into_iter()
        .map(|row| {
            let factors = factors.remove(&row.id).unwrap_or_default();
            let mut record = Record { factors: Some(factors), ..Record::from(row) };
            if hashes == Hashes::LeftOut {
                record.password_hash = None;
            }
            record
        })
        .collect())
}
