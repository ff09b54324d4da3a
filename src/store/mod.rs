//! The part of the token store that the mailer uses: one live token of each kind and user, in the table `token_store`.
use latchkey_entity::token_store::{ActiveModel, Column, Entity};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::database::Db;
use crate::problem::Unavailable;

/// What a mailed token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TokenKind {
    /// Confirms the address of an account.
    Verify,
    /// Sets a new password.
    Recover,
    /// Confirms a new address.
    ChangeEmail,
    /// Takes a change of address back.
    UndoEmail,
}

/// A mailed token, known by its digest alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeToken {
    /// What for.
    pub kind: TokenKind,
    /// Whose.
    pub user_id: Uuid,
    /// The outbox row that mails it: a UUIDv7, so that the greater one is the newer.
    pub row_id: Uuid,
    /// SHA-256 of the token in base64url.
    pub digest: String,
    /// The version of what it changes, as it was when the mail was asked for.
    pub stamp: i32,
    /// What it is about, beside the user.
    pub subject: Option<Uuid>,
    /// Gone from this moment on.
    pub expires_at: UnixMillis,
}

/// What became of a token that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutToken {
    /// It is the user's one live token of its kind.
    Stored,
    /// A newer one is live; nothing changed.
    Superseded,
}

/// The store.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
}

impl Store {
    /// The table of a database that is migrated.
    pub fn embedded(db: Db) -> Self {
        Self { db }
    }

    /// Makes a token the user's one live token of its kind, unless one of a newer row lives.
    pub async fn put_token(
        &self,
        token: &OneTimeToken,
        now: UnixMillis,
    ) -> Result<PutToken, Unavailable> {
        let down = |error| Unavailable::because("token store", error);
        let key = format!("{:?}:{}", token.kind, token.user_id);
        let found = Entity::find_by_id(key.clone()).one(self.db.writer()).await;
        let live = found.map_err(down)?.filter(|entry| entry.expires_at > now);
        let newer = |value: &str| {
            serde_json::from_str::<OneTimeToken>(value).is_ok_and(|it| it.row_id > token.row_id)
        };
        if live.is_some_and(|entry| newer(&entry.value)) {
            return Ok(PutToken::Superseded);
        }
        let entry = ActiveModel {
            key: Set(key),
            owner: Set(token.digest.clone()),
            value: Set(serde_json::json!(token).to_string()),
            expires_at: Set(token.expires_at),
        };
        let columns = [Column::Owner, Column::Value, Column::ExpiresAt];
        Entity::insert(entry)
            .on_conflict(OnConflict::column(Column::Key).update_columns(columns).to_owned())
            .exec_without_returning(self.db.writer())
            .await
            .map_err(down)?;
        Ok(PutToken::Stored)
    }

    /// The live token with this digest.
    pub async fn find_token(
        &self,
        digest: &str,
        now: UnixMillis,
    ) -> Result<Option<OneTimeToken>, Unavailable> {
        let found = Entity::find().filter(Column::Owner.eq(digest)).one(self.db.reader()).await?;
        Ok(found
            .filter(|entry| entry.expires_at > now)
            .and_then(|entry| serde_json::from_str(&entry.value).ok()))
    }
}
