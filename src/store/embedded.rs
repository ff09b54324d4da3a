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
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseBackend, DbErr, EntityTrait,
    QueryFilter, Statement,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::rules::{self, RefreshRule, Stored};
use super::types::{OneTimeToken, PutToken, Refresh, Refreshed, Session, Spend, TokenKind};
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
}

/// A transaction that holds the lock on the key that it changes.
struct Locked(Transaction);

impl Embedded {
    /// Creates the store. The database must already have the schema.
    pub(super) fn new(db: Db) -> Self {
        Self { db, health: StoreHealth::new() }
    }

    pub(super) async fn open_session(
        &self,
        session: &Session,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let user = session.user_id;
        let tx = self.lock(&keys::sessions(user)).await?;
        let mut others = tx.sessions(user).await?;
        others.retain(|it| it.session.sid != session.sid && it.session.expires_at > now);
        others.sort_by(|a, b| {
            (a.session.seen_at, &a.session.sid).cmp(&(b.session.seen_at, &b.session.sid))
        });
        let surplus = (others.len() + 1).saturating_sub(SESSIONS_PER_USER_MAX);
        for other in &others[..surplus] {
            tx.delete(&keys::session(user, &other.session.sid)).await?;
        }
        tx.write_session(&Stored { session: session.clone(), reused: false }).await?;
        tx.commit().await
    }

    pub(super) async fn session(
        &self,
        user: Uuid,
        sid: &str,
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        let stored: Option<Stored> = read(self.db.reader(), &keys::session(user, sid)).await?;
        Ok(stored.and_then(|it| it.live(now)))
    }

    pub(super) async fn sessions(
        &self,
        user: Uuid,
        now: UnixMillis,
    ) -> Result<Vec<Session>, Unavailable> {
        let stored = list(self.db.reader(), user).await?;
        Ok(stored.into_iter().filter_map(|it| it.live(now)).collect())
    }

    pub(super) async fn refresh(
        &self,
        ask: &Refresh<'_>,
        now: UnixMillis,
    ) -> Result<Refreshed, Unavailable> {
        let tx = self.lock(&keys::sessions(ask.user_id)).await?;
        let stored: Option<Stored> = tx.read(&keys::session(ask.user_id, ask.sid)).await?;
        let rule = rules::refresh(stored.as_ref(), ask, now);
        let Some(stored) = stored else { return Ok(Refreshed::Gone) };
        match rule {
            RefreshRule::Rotate(session) => {
                let session = *session;
                tx.write_session(&Stored { session: session.clone(), reused: false }).await?;
                tx.commit().await?;
                Ok(Refreshed::Rotated(session))
            }
            RefreshRule::Recover(session) => {
                let session = *session;
                if session != stored.session {
                    tx.write_session(&Stored { session: session.clone(), reused: false }).await?;
                    tx.commit().await?;
                }
                Ok(Refreshed::Recovered(session))
            }
            RefreshRule::Reused => {
                tx.write_session(&Stored { reused: true, ..stored.clone() }).await?;
                tx.commit().await?;
                Ok(Refreshed::Reused(stored.session))
            }
            RefreshRule::Current => Ok(Refreshed::Current(stored.session)),
            RefreshRule::Ahead => Ok(Refreshed::Ahead),
            RefreshRule::Gone => Ok(Refreshed::Gone),
        }
    }

    pub(super) async fn mark_used(
        &self,
        user: Uuid,
        sid: &str,
        generation: u64,
    ) -> Result<(), Unavailable> {
        let tx = self.lock(&keys::sessions(user)).await?;
        let stored: Option<Stored> = tx.read(&keys::session(user, sid)).await?;
        let is_unused =
            |it: &Stored| it.session.generation == generation && !it.session.used && !it.reused;
        if let Some(mut stored) = stored.filter(is_unused) {
            stored.session.used = true;
            tx.write_session(&stored).await?;
            tx.commit().await?;
        }
        Ok(())
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
        for it in tx.sessions(user).await? {
            if !it.reused && except != Some(it.session.sid.as_str()) {
                ended += tx.delete(&keys::session(user, &it.session.sid)).await?;
            }
        }
        tx.commit().await?;
        Ok(ended)
    }

    pub(super) async fn amend_session(
        &self,
        (user, sid): (Uuid, &str),
        change: impl FnOnce(&mut Session) + Send,
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        let tx = self.lock(&keys::sessions(user)).await?;
        let stored: Option<Stored> = tx.read(&keys::session(user, sid)).await?;
        let Some(mut session) = stored.and_then(|it| it.live(now)) else { return Ok(None) };
        change(&mut session);
        tx.write_session(&Stored { session: session.clone(), reused: false }).await?;
        tx.commit().await?;
        Ok(Some(session))
    }

    pub(super) async fn put_token(
        &self,
        token: &OneTimeToken,
        now: UnixMillis,
    ) -> Result<PutToken, Unavailable> {
        let key = keys::token(token.user_id, token.kind);
        let tx = self.lock(&key).await?;
        let stored: Option<OneTimeToken> = tx.read(&key).await?;
        let verdict = rules::put_token(stored.as_ref(), token, now);
        if verdict == PutToken::Stored {
            let owner = token.user_id.to_string();
            tx.write(&key, &owner, token, token.expires_at).await?;
            let address = keys::token_address(token.user_id, token.kind);
            tx.write(&keys::token_index(&token.digest), &owner, &address, token.expires_at).await?;
            tx.commit().await?;
        }
        Ok(verdict)
    }

    pub(super) async fn find_token(
        &self,
        digest: &str,
    ) -> Result<Option<OneTimeToken>, Unavailable> {
        let address: Option<String> = read(self.db.reader(), &keys::token_index(digest)).await?;
        let Some(address) = address else { return Ok(None) };
        let (user, kind) = keys::read_token_address(&address)
            .ok_or_else(|| lost("the index of a one-time token cannot be read"))?;
        read(self.db.reader(), &keys::token(user, kind)).await
    }

    pub(super) async fn drop_token(
        &self,
        user: Uuid,
        kind: TokenKind,
        keep_row: Option<Uuid>,
    ) -> Result<(), Unavailable> {
        let key = keys::token(user, kind);
        let tx = self.lock(&key).await?;
        let stored: Option<OneTimeToken> = tx.read(&key).await?;
        if stored.is_some_and(|it| Some(it.row_id) != keep_row) {
            tx.delete(&key).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    pub(super) async fn spend_once(
        &self,
        key: &str,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<Spend, Unavailable> {
        let key = keys::once(key);
        let tx = self.lock(&key).await?;
        let spent_until: Option<UnixMillis> = tx.read(&key).await?;
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
    async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Unavailable> {
        read(&self.0, key).await
    }

    async fn sessions(&self, user: Uuid) -> Result<Vec<Stored>, Unavailable> {
        list(&self.0, user).await
    }

    async fn write_session(&self, stored: &Stored) -> Result<(), Unavailable> {
        let session = &stored.session;
        let key = keys::session(session.user_id, &session.sid);
        self.write(&key, &session.user_id.to_string(), stored, session.expires_at).await
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
    (key, owner): (&str, &str),
    value: &T,
    expires_at: UnixMillis,
) -> Result<(), Unavailable> {
    let row = ActiveModel {
        key: Set(key.to_owned()),
        owner: Set(owner.to_owned()),
        value: Set(serde_json::to_string(value).map_err(lost)?),
        expires_at: Set(expires_at),
    };
    let replace = OnConflict::column(Column::Key)
        .update_columns([Column::Owner, Column::Value, Column::ExpiresAt])
        .to_owned();
    let insert = Entity::insert(row).on_conflict(replace);
    insert.exec_without_returning(tx).await.map(drop).map_err(lost)
}

async fn read<T: DeserializeOwned>(
    db: &impl ConnectionTrait,
    key: &str,
) -> Result<Option<T>, Unavailable> {
    let row = Entity::find_by_id(key.to_owned()).one(db).await.map_err(lost)?;
    row.map(|row| serde_json::from_str(&row.value)).transpose().map_err(lost)
}

async fn list(db: &impl ConnectionTrait, user: Uuid) -> Result<Vec<Stored>, Unavailable> {
    let rows: Result<_, DbErr> = Entity::find()
        .filter(Column::Owner.eq(user.to_string()))
        .filter(Column::Key.starts_with(keys::session_prefix(user)))
        .all(db)
        .await;
    let rows = rows.map_err(lost)?;
    rows.iter().map(|row| serde_json::from_str(&row.value)).collect::<Result<_, _>>().map_err(lost)
}
