//! The import of accounts. It writes the accounts to the database, one batch in each transaction.
//!
//! An import can be interrupted at any point and run again. A batch is written completely or not at
//! all. An import does not change existing accounts ([`Outcome::Exists`]).
//!
//! A line that is imported again must be recognised, also if its user has changed the account in
//! the meantime, for example by a login, which replaces the hash. So the id of a line without an id
//! is made from its content ([`LineIds`]).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use latchkey_entity::user;
use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use super::Line;
use crate::audit::Outcome::Success;
use crate::audit::{Action, Actor, ChangeContext, Detail};
use crate::database::Db;
use crate::factor::{Factor, table as factors};
use crate::secret::{KeyError, MasterKey, Secret, hmac_sha256};
use crate::team::teams;
use crate::token::keys::FactorKeys;
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

/// Whether an import reads the secrets of TOTP factors.
#[derive(Clone, Debug)]
pub enum TotpSecrets {
    /// The import reads the secrets, and encrypts them with these keys.
    Read(FactorKeys),
    /// The accounts come without their factors.
    LeftOut,
}

/// How an import writes accounts.
pub struct Writing {
    pub ids: LineIds,
    /// The hash for lines without a password hash. No known password matches it.
    pub no_password: String,
    pub totp_secrets: TotpSecrets,
}

/// Result of importing a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The account is created.
    Imported,
    /// The account of this line existed before and is not changed.
    Exists,
    /// Another account has this email address.
    EmailTaken,
    /// Another account has this id.
    IdTaken,
}

/// Creates the ids of lines without an id. The key is derived from the master key, so that an id
/// reveals nothing about the line.
pub struct LineIds(Secret<[u8; 32]>);

impl LineIds {
    pub fn new(master: &MasterKey) -> Self {
        Self(master.derive("import"))
    }

    fn of_all<'a>(&self, lines: &'a [Line]) -> Vec<Identified<'a>> {
        lines.iter().map(|line| (line, line.id.unwrap_or_else(|| self.of(line)))).collect()
    }

    /// A UUID of version 8 (RFC 9562 §5.8), which contains no time. So each import of a line gives
    /// the same id, also if the line has no `createdAt`.
    fn of(&self, line: &Line) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hmac_sha256(self.0.expose(), &line.content())[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

/// A line and the id that its account has or gets.
type Identified<'a> = (&'a Line, Uuid);

/// Writes a batch, whose lines have different email addresses and ids. If there is an error, no
/// line of the batch is written. Returns one outcome for each line, in the order of the lines.
pub async fn write(
    cx: &ChangeContext<'_>,
    writing: &Writing,
    lines: &[Line],
) -> Result<Vec<Outcome>, DbErr> {
    match attempt(cx, writing, lines).await {
        // A client has registered one of the email addresses in the meantime. The second call of
        // `attempt` finds that account.
        Err(error) if table::is_taken(&error) => attempt(cx, writing, lines).await,
        other => other,
    }
}

/// Returns the outcomes that [`write()`] would have, and writes nothing.
pub async fn foresee(db: &Db, ids: &LineIds, lines: &[Line]) -> Result<Vec<Outcome>, DbErr> {
    let batch = ids.of_all(lines);
    let taken = Taken::read(db.reader(), &batch).await?;
    Ok(batch.iter().map(|(line, id)| taken.outcome(line, *id)).collect())
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
    Writing { ids, no_password, totp_secrets }: &Writing,
    lines: &[Line],
) -> Result<Vec<Outcome>, DbErr> {
    let (now, tx) = (cx.now, cx.db.begin().await?);
    let batch = ids.of_all(lines);
    let taken = Taken::read(&tx, &batch).await?;
    let (mut rows, mut verified, mut imported) = (Vec::new(), Vec::new(), Vec::new());
    let mut of_factors = Vec::new();
    let mut outcomes = Vec::with_capacity(lines.len());
    for (line, id) in batch {
        let outcome = taken.outcome(line, id);
        outcomes.push(outcome);
        if outcome != Outcome::Imported {
            continue;
        }
        let mut factors = Vec::new();
        if let TotpSecrets::Read(keys) = totp_secrets {
            let rows: Result<Vec<Factor>, KeyError> = line.factors.rows(keys, id, now).collect();
            factors = rows.map_err(|error| DbErr::Custom(error.to_string()))?;
        }
        imported.push((id, factors.len()));
        if line.email_verified {
            verified.push((id, line.name.as_str()));
        }
        let created_at = line.created_at.unwrap_or(now);
        rows.push(NewUser {
            id,
            email: line.email.clone(),
            name: line.name.clone(),
            password_hash: line.password_hash.as_deref().unwrap_or(no_password.as_str()).to_owned(),
            state: if line.disabled { UserState::Disabled } else { UserState::Active },
            verified_at: line.email_verified.then_some(created_at),
            created_ip: String::new(),
            // An unverified account is deleted when it reaches a certain age. So the time in which
            // the user can verify an imported account begins now.
            created_at: if line.email_verified { created_at } else { now },
            updated_at: now,
            factor_count: i32::try_from(factors.len()).unwrap_or(i32::MAX),
        });
        of_factors.extend(factors);
    }
    table::insert_all(&tx, rows).await?;
    factors::insert_all(&tx, of_factors).await?;
    for (id, name) in verified {
        teams::create_default(&tx, id, name, now).await?;
    }
    for (id, factors) in imported {
        let what = (Action::AccountImported, Success);
        let mut detail = Detail::none();
        if factors > 0 {
            detail = detail.number("factors", i64::try_from(factors).unwrap_or(i64::MAX));
        }
        cx.record(&tx, what, Actor::Operator, (Some(id), None), detail).await?;
    }
    tx.commit().await?;
    Ok(outcomes)
}

/// The stored accounts that have the email address or the id of a line of the batch.
struct Taken {
    addresses: HashMap<String, user::Model>,
    ids: HashSet<Uuid>,
}

impl Taken {
    async fn read<C: ConnectionTrait>(
        connection: &C,
        batch: &[Identified<'_>],
    ) -> Result<Self, DbErr> {
        let emails = batch.iter().map(|(line, _)| line.email.normal());
        let ids = batch.iter().map(|(_, id)| *id);
        let rows = user::Entity::find()
            .filter(user::Column::EmailNormal.is_in(emails).or(user::Column::Id.is_in(ids)))
            .all(connection)
            .await?;
        let ids = rows.iter().map(|row| row.id).collect();
        let addresses = rows.into_iter().map(|row| (row.email_normal.clone(), row)).collect();
        Ok(Self { addresses, ids })
    }

    fn outcome(&self, line: &Line, id: Uuid) -> Outcome {
        match self.addresses.get(line.email.normal()) {
            Some(row) if is_same(row, line, id) => Outcome::Exists,
            Some(_) => Outcome::EmailTaken,
            // The id of a line without an id is made from its content. So this is the account of
            // the line, and its user has changed the email address.
            None if self.ids.contains(&id) && line.id.is_none() => Outcome::Exists,
            None if self.ids.contains(&id) => Outcome::IdTaken,
            None => Outcome::Imported,
        }
    }
}

/// Whether a stored account with the email address of a line is the account of the line. It has the
/// id of the line, or the line has no id and says nothing that the account does not have.
fn is_same(row: &user::Model, line: &Line, id: Uuid) -> bool {
    if line.id.is_some() {
        return row.id == id;
    }
    row.id == id
        || row.email == line.email.as_typed()
            && row.name == line.name
            && line.password_hash.as_ref().is_none_or(|hash| *hash == row.password_hash)
            && line.factors.is_empty()
            && (row.verified_at.is_some() || !line.email_verified)
            && line.disabled == (row.status == UserState::Disabled)
}
