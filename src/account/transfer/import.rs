//! The import of accounts: it writes them to the database, one batch in each transaction.
//!
//! An import can be interrupted at any point and run again. A batch is written completely or not at
//! all, and existing accounts are not changed ([`Outcome::Exists`]).

use std::collections::HashSet;
use std::time::Duration;

use latchkey_entity::user;
use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _};
use uuid::Uuid;

use super::Line;
use crate::audit::{Action, Actor, ChangeContext};
use crate::database::{Db, Transaction};
use crate::secret::uuid_v7;
use crate::team::teams;
use crate::user::UserState;
use crate::user::table::{self, NewUser};

/// Lines in a transaction. The batch is large enough that many accounts share the fsync of one
/// commit. It is small enough that a daemon next to the import waits for SQLite's one writer less
/// long than a request may last.
pub const BATCH_LINES: usize = 500;

/// The shortest pause on SQLite. A connection that waits for the lock tries again after 1, 2, 5,
/// 10, 15, 20 and 25 ms, then every 25, 50 and 100 ms (`sqliteDefaultBusyCallback`). A shorter
/// pause could fall between two of these attempts every time.
const REST_MIN: Duration = Duration::from_millis(25);

/// Result of importing a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The account is created.
    Imported,
    /// An account with this address existed before and is not changed.
    Exists,
    /// Another account has this id.
    IdTaken,
}

/// Writes a batch: all of it, or nothing if there is an error. Returns one outcome for each line,
/// in the same order.
///
/// `no_password` is the hash for lines without one. No known password matches it.
pub async fn write(
    cx: &ChangeContext<'_>,
    lines: &[Line],
    no_password: &str,
) -> Result<Vec<Outcome>, DbErr> {
    match attempt(cx, lines, no_password).await {
        // A client has registered one of the addresses in the meantime. The second attempt finds
        // that account.
        Err(error) if table::is_taken(&error) => attempt(cx, lines, no_password).await,
        other => other,
    }
}

/// Pauses after a batch, so that a daemon next to the import can write. `batch` is the time that
/// the batch took.
///
/// PostgreSQL locks rows, not the database, so it needs no pause. SQLite has no queue for its lock:
/// without pauses the import would hold the lock at every attempt of the daemon, until the daemon
/// gives up. A pause as long as the batch cannot be missed twice in a row.
pub async fn rest(db: &Db, batch: Duration) {
    if !db.is_postgres() {
        tokio::time::sleep(batch.max(REST_MIN)).await;
    }
}

async fn attempt(
    cx: &ChangeContext<'_>,
    lines: &[Line],
    no_password: &str,
) -> Result<Vec<Outcome>, DbErr> {
    let (now, tx) = (cx.now, cx.db.begin().await?);
    let mut taken = Taken::read(&tx, lines).await?;
    let mut outcomes = Vec::with_capacity(lines.len());
    let (mut rows, mut verified, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        let created_at = line.created_at.unwrap_or(now);
        let id = line.id.unwrap_or_else(|| uuid_v7(created_at));
        let outcome = taken.take(line, id);
        outcomes.push(outcome);
        if outcome != Outcome::Imported {
            continue;
        }
        ids.push(id);
        if line.email_verified {
            verified.push((id, line.name.as_str()));
        }
        rows.push(NewUser {
            id,
            email: line.email.clone(),
            name: line.name.clone(),
            password_hash: line.password_hash.as_deref().unwrap_or(no_password).to_owned(),
            state: if line.disabled { UserState::Disabled } else { UserState::Active },
            verified_at: line.email_verified.then_some(created_at),
            created_ip: String::new(),
            // An unverified account is deleted at a certain age. The time to verify an imported
            // account begins now.
            created_at: if line.email_verified { created_at } else { now },
            updated_at: now,
        });
    }
    table::insert_all(&tx, rows).await?;
    for (id, name) in verified {
        teams::create_default(&tx, id, name, now).await?;
    }
    for id in ids {
        cx.record_on(&tx, Action::AccountImported, Actor::Operator, id).await?;
    }
    tx.commit().await?;
    Ok(outcomes)
}

/// Addresses and ids that are in use, including those of earlier lines of the batch.
struct Taken {
    emails: HashSet<String>,
    ids: HashSet<Uuid>,
}

impl Taken {
    async fn read(tx: &Transaction, lines: &[Line]) -> Result<Self, DbErr> {
        let emails = lines.iter().map(|line| line.email.normal());
        let ids = lines.iter().filter_map(|line| line.id);
        let known: Vec<(Uuid, String)> = user::Entity::find()
            .select_only()
            .column(user::Column::Id)
            .column(user::Column::EmailNormal)
            .filter(user::Column::EmailNormal.is_in(emails).or(user::Column::Id.is_in(ids)))
            .into_tuple()
            .all(tx)
            .await?;
        let (ids, emails) = known.into_iter().unzip();
        Ok(Self { emails, ids })
    }

    fn take(&mut self, line: &Line, id: Uuid) -> Outcome {
        if self.emails.contains(line.email.normal()) {
            return Outcome::Exists;
        }
        if !self.ids.insert(id) {
            return Outcome::IdTaken;
        }
        self.emails.insert(line.email.normal().to_owned());
        Outcome::Imported
    }
}
