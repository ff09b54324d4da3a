//! The import of accounts. It writes the accounts to the database, one batch in each transaction.
//!
//! An import can be interrupted at any point and run again. A batch is written completely or not at
//! all. An import does not change existing accounts ([`Outcome::Exists`]).

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

/// The number of lines in one transaction. The batch is large enough that many accounts share the
/// fsync of one commit. It is small enough for a daemon that runs during the import: the daemon
/// waits for SQLite's only writer for less time than a request may take.
pub const BATCH_LINES: usize = 500;

/// The shortest pause between two batches on SQLite. A connection that waits for SQLite's lock
/// tries to get it again after 1, 2, 5, 10, 15, 20 and 25 ms, then every 25, 50 and 100 ms
/// (`sqliteDefaultBusyCallback`). If the pause were shorter, it could fall between two of these
/// attempts each time, so that the connection would never get the lock.
const REST_MIN: Duration = Duration::from_millis(25);

/// Result of importing a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The account is created.
    Imported,
    /// An account with this email address existed before and is not changed.
    Exists,
    /// Another account has this id.
    IdTaken,
}

/// Writes a batch. If there is an error, no line of the batch is written. Returns one outcome for
/// each line, in the order of the lines.
///
/// `no_password` is the hash for lines without a password hash. No known password matches
/// `no_password`.
pub async fn write(
    cx: &ChangeContext<'_>,
    lines: &[Line],
    no_password: &str,
) -> Result<Vec<Outcome>, DbErr> {
    match attempt(cx, lines, no_password).await {
        // A client has registered one of the email addresses in the meantime. The second call of
        // `attempt` finds that account.
        Err(error) if table::is_taken(&error) => attempt(cx, lines, no_password).await,
        other => other,
    }
}

/// Pauses after a batch, so that a daemon that runs during the import can write. `batch` is the
/// time that the batch took.
///
/// PostgreSQL locks rows and not the whole database, so no pause is needed. SQLite has one lock and
/// no queue for it. Without pauses, the import would hold the lock each time the daemon tries to
/// get it, until the daemon gives up. If the pause is as long as the batch, the daemon cannot miss
/// two pauses in a row.
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
            // An unverified account is deleted when it reaches a certain age. So the time in which
            // the user can verify an imported account begins now.
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

/// Email addresses and ids that accounts already have, or that an earlier line of the same batch
/// has.
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
