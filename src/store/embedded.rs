//! The token store as a table of the database, for a daemon without Redis.
//!
//! Each operation that reads a row and then changes it is one transaction. SQLite has only one
//! writer, and the transaction takes SQLite's lock when it begins. On PostgreSQL the transaction
//! first takes an advisory lock on the key, because a row that does not exist yet cannot be locked.

mod attempts;
mod budgets;
mod probe;

use std::sync::Arc;

use latchkey_entity::token_store::{ActiveModel, Column, Entity};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, QueryFilter,
    QueryResult, QuerySelect as _, QueryTrait as _, Statement,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::record_mac::{Record, RecordMac, unchecked};
use super::records::Replaced;
use super::rules::Stored;
use super::types::{OneTimeToken, Session, Spend, TokenKind};
use super::{COLLECT_SLACK_MS, SESSIONS_PER_USER_MAX, keys, lost};
use crate::clock::UnixMillis;
use crate::database::batches::Expired;
use crate::database::{Db, Transaction};
use crate::health::StoreHealth;
use crate::problem::Unavailable;

/// The embedded token store.
#[derive(Clone, Debug)]
pub struct Embedded {
    db: Db,
    health: Arc<StoreHealth>,
    /// Counts the values that cannot be read.
    mac: RecordMac,
}

/// A transaction that holds the lock on the key that it changes.
struct Locked(Transaction);

impl Embedded {
    /// Creates the store. The database must already have the schema.
    pub(super) fn new(db: Db, mac: RecordMac) -> Self {
        Self { db, health: StoreHealth::new(), mac }
    }

    pub(super) async fn open_session(
        &self,
        session: &Session,
        record: &[u8],
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let user = session.user_id;
        let tx = self.lock(&keys::sessions(user)).await?;
        let key = keys::session(user, &session.sid);
        // A record that cannot be read has no `seen_at`, and `None` sorts first: it is deleted
        // before any session. An expired record does not count, and the sweep deletes it.
        let mut others = Vec::new();
        for (other, record) in list(&tx.0, user).await? {
            let seen_at = match unchecked::<Stored>(&record) {
                Some(it) if it.session.expires_at <= now => continue,
                it => it.map(|it| it.session.seen_at),
            };
            others.extend((other != key).then_some((seen_at, other)));
        }
        others.sort();
        let surplus = (others.len() + 1).saturating_sub(SESSIONS_PER_USER_MAX);
        for (_, other) in &others[..surplus] {
            tx.delete(other).await?;
        }
        tx.write_session(session, record).await?;
        tx.commit().await
    }

    /// The record of a session or of a mailed token.
    pub(super) async fn record(&self, key: &str) -> Result<Option<Record>, Unavailable> {
        read_record(self.db.reader(), key).await
    }

    /// The records of a user's sessions with their keys.
    pub(super) async fn session_records(
        &self,
        user: Uuid,
    ) -> Result<Vec<(String, Record)>, Unavailable> {
        list(self.db.reader(), user).await
    }

    /// Replaces the record of a session, if it is `expected`.
    pub(super) async fn replace_session(
        &self,
        session: &Session,
        (expected, record): (Option<&[u8]>, &[u8]),
        _now: UnixMillis,
    ) -> Result<Replaced, Unavailable> {
        let tx = self.lock(&keys::sessions(session.user_id)).await?;
        let found = tx.record(&keys::session(session.user_id, &session.sid)).await?;
        if found.as_deref() != expected {
            return Ok(Replaced::Found(found));
        }
        tx.write_session(session, record).await?;
        tx.commit().await?;
        Ok(Replaced::Now)
    }

    pub(super) async fn end_session(&self, user: Uuid, sid: &str) -> Result<(), Unavailable> {
        let tx = self.lock(&keys::sessions(user)).await?;
        tx.delete(&keys::session(user, sid)).await?;
        tx.commit().await
    }

    pub(super) async fn end_sessions(
        &self,
        user: Uuid,
        except: Option<&str>,
    ) -> Result<u64, Unavailable> {
        let tx = self.lock(&keys::sessions(user)).await?;
        let mut ended = 0;
        let kept = except.map(|sid| keys::session(user, sid));
        for (key, record) in list(&tx.0, user).await? {
            let is_tombstone = unchecked::<Stored>(&record).is_some_and(|it| it.reused);
            if !is_tombstone && kept.as_ref() != Some(&key) {
                ended += tx.delete(&key).await?;
            }
        }
        tx.commit().await?;
        Ok(ended)
    }

    /// Replaces the record of a token, if it is `expected`, and writes the index entry.
    pub(super) async fn replace_token(
        &self,
        token: &OneTimeToken,
        (expected, record): (Option<&[u8]>, &[u8]),
        _now: UnixMillis,
    ) -> Result<Replaced, Unavailable> {
        let key = keys::token(token.user_id, token.kind);
        let tx = self.lock(&key).await?;
        let found = tx.record(&key).await?;
        if found.as_deref() != expected {
            return Ok(Replaced::Found(found));
        }
        let owner = token.user_id.to_string();
        write_text(&tx.0, (&key, &owner), text_of(record)?, token.expires_at).await?;
        let address = keys::token_address(token.user_id, token.kind);
        tx.write(&keys::token_index(&token.digest), &owner, &address, token.expires_at).await?;
        tx.commit().await?;
        Ok(Replaced::Now)
    }

    /// Replaces a short-lived record, if it is `expected`.
    pub(super) async fn replace_pending(
        &self,
        names: (&str, &str),
        (expected, record): (Option<&[u8]>, &[u8]),
        expires_at: UnixMillis,
        _now: UnixMillis,
    ) -> Result<Replaced, Unavailable> {
        let tx = self.lock(names.0).await?;
        let found = tx.record(names.0).await?;
        if found.as_deref() != expected {
            return Ok(Replaced::Found(found));
        }
        write_text(&tx.0, names, text_of(record)?, expires_at).await?;
        tx.commit().await?;
        Ok(Replaced::Now)
    }

    /// The index entry of a token.
    pub(super) async fn token_address(&self, digest: &str) -> Result<Option<Record>, Unavailable> {
        let address = self.read(self.db.reader(), &keys::token_index(digest)).await?;
        Ok(address.map(String::into_bytes))
    }

    pub(super) async fn drop_token(
        &self,
        user: Uuid,
        kind: TokenKind,
        keep_row: Option<Uuid>,
    ) -> Result<(), Unavailable> {
        let key = keys::token(user, kind);
        let tx = self.lock(&key).await?;
        let row = tx.record(&key).await?.and_then(|it| unchecked::<OneTimeToken>(&it));
        if row.is_some_and(|it| Some(it.row_id) == keep_row) {
            return Ok(());
        }
        tx.delete(&key).await?;
        tx.commit().await
    }

    pub(super) async fn spend_once(
        &self,
        key: &str,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<Spend, Unavailable> {
        let key = keys::once(key);
        let tx = self.lock(&key).await?;
        let spent_until: Option<UnixMillis> = self.read(&tx.0, &key).await?;
        if spent_until.is_some_and(|it| it > now) {
            return Ok(Spend::Again);
        }
        tx.write(&key, "", &expires_at, expires_at).await?;
        tx.commit().await?;
        Ok(Spend::First)
    }

    pub(super) async fn forget_user(&self, user: Uuid) -> Result<(), Unavailable> {
        let tx = self.lock(&keys::sessions(user)).await?;
        let mine = Entity::delete_many().filter(Column::Owner.eq(user.to_string()));
        mine.exec(&tx.0).await.map_err(lost)?;
        tx.commit().await
    }

    pub(super) async fn sweep(&self, now: UnixMillis) -> Result<u64, Unavailable> {
        let expired = Expired { table: "token_store", key: "key", condition: "expires_at <= $1" };
        expired.delete(&self.db, now.saturating_sub(COLLECT_SLACK_MS)).await.map_err(lost)
    }

    pub(super) async fn ping(&self) -> Result<(), Unavailable> {
        self.db.ping().await.map_err(lost)
    }

    /// Reads a value that has no MAC. A value that cannot be read counts as absent.
    async fn read<T: DeserializeOwned>(
        &self,
        db: &impl ConnectionTrait,
        key: &str,
    ) -> Result<Option<T>, Unavailable> {
        let Some(text) = read_record(db, key).await? else { return Ok(None) };
        let value = serde_json::from_slice(&text).ok();
        if value.is_none() {
            self.mac.refuse_values(1);
        }
        Ok(value)
    }

    async fn lock(&self, key: &str) -> Result<Locked, Unavailable> {
        let tx = self.db.begin().await.map_err(lost)?;
        self.lock_in(&tx, key).await?;
        Ok(Locked(tx))
    }

    async fn lock_in(&self, tx: &Transaction, key: &str) -> Result<(), Unavailable> {
        if self.db.is_postgres() {
            let lock = Statement::from_sql_and_values(
                DatabaseBackend::Postgres,
                "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
                [key.into()],
            );
            tx.execute_raw(lock).await.map_err(lost)?;
        }
        Ok(())
    }
}

impl Locked {
    async fn record(&self, key: &str) -> Result<Option<Record>, Unavailable> {
        read_record(&self.0, key).await
    }

    async fn write_session(&self, session: &Session, record: &[u8]) -> Result<(), Unavailable> {
        let key = keys::session(session.user_id, &session.sid);
        let owner = session.user_id.to_string();
        write_text(&self.0, (&key, &owner), text_of(record)?, session.expires_at).await
    }

    async fn write<T: Serialize + Sync>(
        &self,
        key: &str,
        owner: &str,
        value: &T,
        expires_at: UnixMillis,
    ) -> Result<(), Unavailable> {
        write(&self.0, (key, owner), value, expires_at).await
    }

    async fn delete(&self, key: &str) -> Result<u64, Unavailable> {
        let deleted = Entity::delete_by_id(key.to_owned()).exec(&self.0).await.map_err(lost)?;
        Ok(deleted.rows_affected)
    }

    async fn commit(self) -> Result<(), Unavailable> {
        self.0.commit().await.map_err(lost)
    }
}

async fn write<T: Serialize + Sync>(
    tx: &Transaction,
    names: (&str, &str),
    value: &T,
    expires_at: UnixMillis,
) -> Result<(), Unavailable> {
    write_text(tx, names, serde_json::to_string(value).map_err(lost)?, expires_at).await
}

async fn write_text(
    tx: &Transaction,
    (key, owner): (&str, &str),
    value: String,
    expires_at: UnixMillis,
) -> Result<(), Unavailable> {
    let row = ActiveModel {
        key: Set(key.to_owned()),
        owner: Set(owner.to_owned()),
        value: Set(value),
        expires_at: Set(expires_at),
    };
    let replace = OnConflict::column(Column::Key)
        .update_columns([Column::Owner, Column::Value, Column::ExpiresAt])
        .to_owned();
    let insert = Entity::insert(row).on_conflict(replace);
    insert.exec_without_returning(tx).await.map(drop).map_err(lost)
}

async fn read_record(db: &impl ConnectionTrait, key: &str) -> Result<Option<Record>, Unavailable> {
    let one = Entity::find_by_id(key.to_owned()).select_only().column(Column::Value);
    let row = db.query_one_raw(one.build(db.get_database_backend())).await.map_err(lost)?;
    Ok(row.as_ref().map(value_of))
}

async fn list(db: &impl ConnectionTrait, user: Uuid) -> Result<Vec<(String, Record)>, Unavailable> {
    let mine = Entity::find()
        .select_only()
        .columns([Column::Key, Column::Value])
        .filter(Column::Owner.eq(user.to_string()))
        .filter(Column::Key.starts_with(keys::session_prefix(user)));
    let rows = db.query_all_raw(mine.build(db.get_database_backend())).await.map_err(lost)?;
    let read = |row: &QueryResult| Some((row.try_get("", "key").ok()?, value_of(row)));
    Ok(rows.iter().filter_map(read).collect())
}

/// The value in a row. SQLite also stores values of another type than the column's, and texts that
/// are not UTF-8. They count as an empty value, which no operation accepts.
fn value_of(row: &QueryResult) -> Record {
    row.try_get::<String>("", "value").unwrap_or_default().into_bytes()
}

/// The text of a record. A record that latchkey creates is always UTF-8.
fn text_of(record: &[u8]) -> Result<String, Unavailable> {
    String::from_utf8(record.to_vec()).map_err(lost)
}
