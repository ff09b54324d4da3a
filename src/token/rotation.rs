//! The rotation of signing keys. Its steps are: a new key is published, the new key begins to sign,
//! the old key is retired, and the old key is deleted.
//!
//! | state | published and verifies tokens | signs tokens | the state ends when |
//! |---|---|---|---|
//! | `next` | yes | no | [`PUBLISH_AHEAD`] has passed |
//! | `signing` | yes | yes | the next key replaces it |
//! | `retired` | yes | no | the last token of the key can no longer be used; the row is then deleted |
//!
//! Any replica may take a step. If several replicas try, only the first one succeeds, because each
//! step is a compare-and-set statement in SQL. The audit event is written in the same transaction.
//! If a key is compromised, its `revoked_at` is set. Each replica then refuses the tokens of this
//! key after the replica's next reading of the keys.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use latchkey_entity::signing_key::{Column, Entity, Model, SigningKeyState};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _};

use super::key_events::Why;
use super::key_state::KeyState;
use super::keys::{KeysError, Kind};
pub use super::stored::Sealed;
use super::stored::{KeyDependencies, algorithm_of, of};
use crate::clock::{UnixMillis, millis};

/// A key in the state `next` is deleted if it has not begun to sign this long after its time. A
/// replica that can decrypt the key would have let it sign within 30 s, so no replica can decrypt
/// it. While this key exists, no other key can be published.
const UNOPENED_MAX: Duration = Duration::from_hours(1);

/// How long a key is published before it signs. Verifiers cache the JWKS for 5 min. The clocks of
/// replicas differ by up to 2 min. A replica reads the keys every 30 s. If it misses six readings,
/// it publishes the key 3 min late.
pub const PUBLISH_AHEAD: Duration = Duration::from_mins(10);

/// A key, with the data that the command line shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The `kid`.
    pub id: String,
    /// `user`, `vault` or `store`.
    pub kind: String,
    /// The `alg`.
    pub algorithm: String,
    pub state: KeyState,
    pub created_at: UnixMillis,
    /// The time from which the key signs. A published key begins to sign when a daemon takes its
    /// first step after this time.
    pub signs_from: UnixMillis,
    pub retired_at: Option<UnixMillis>,
    /// The time until which the tokens of the key are accepted. `None` for a key that is not
    /// retired, because the time is not known yet, and for a revoked key.
    pub verifies_until: Option<UnixMillis>,
    /// The master key that decrypts this key.
    pub sealed: Sealed,
}

impl Listed {
    /// Whether a master key of this process decrypts the key.
    pub fn opens(&self) -> bool {
        self.sealed != Sealed::Elsewhere
    }
}

/// The result of a rotation by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// A new key was published. It signs from this time on.
    Published(UnixMillis),
    /// A key was already published before. It signs from this time on.
    Waiting(UnixMillis),
    /// A new key signs now.
    Signs,
    /// The kind is not rotated, because vaultTokens are signed with `tokens.secret`.
    Shared,
}

/// The result of reporting a key as compromised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// The tokens of the key are refused.
    Revoked,
    /// The tokens of the key are refused, and another key signs in its place.
    Replaced,
    /// Nothing is changed, because the key protects the secrets of second factors. Without the key
    /// no user could log in with a second factor.
    Kept,
    Unknown,
}

impl KeyDependencies {
    pub(super) async fn step(&self) -> Result<(), KeysError> {
        let (rows, now) = (self.rows().await?, self.clock.now());
        for kind in self.rotated_kinds() {
            let Some(signing) = of(&rows, *kind, SigningKeyState::Signing) else { continue };
            let since = signing.signs_from.unwrap_or(signing.created_at);
            let due = since + millis(self.tokens.rotate_every) - millis(PUBLISH_AHEAD);
            match of(&rows, *kind, SigningKeyState::Next) {
                // If this replica cannot decrypt the next key, a replica with the right master key
                // takes this step.
                Some(next) if now >= signs_from(next) && self.parse(next).is_some() => {
                    self.promote(*kind, next, signing, Why::Due).await?;
                }
                Some(next)
                    if now >= signs_from(next) + millis(UNOPENED_MAX)
                        && self.parse(signing).is_some() =>
                {
                    self.drop_unopened(next).await?;
                }
                None if now >= due => {
                    self.publish(*kind, algorithm_of(signing), Why::Due).await?;
                }
                _ => {}
            }
        }
        let over = |row: &&Model| self.verifies_until(row).is_some_and(|until| now > until);
        for row in rows.iter().filter(over) {
            self.forget(row).await?;
        }
        Ok(())
    }

    /// Deletes a key whose tokens can no longer be used, and records the key as retired. A
    /// compromised key was already recorded as retired, so no second event is written for it.
    async fn forget(&self, row: &Model) -> Result<(), KeysError> {
        let teller = self.recorder(Why::Due).await?;
        let tx = self.db.begin().await?;
        let gone = Entity::delete_by_id(&row.id).exec(&tx).await?.rows_affected == 1;
        let kind = Kind::from_name(&row.kind).filter(|_| row.revoked_at.is_none());
        if let Some(kind) = kind.filter(|_| gone) {
            teller.retired(&tx, kind, &row.id).await?;
        }
        tx.commit().await?;
        if gone {
            tracing::info!(kid = row.id, kind = row.kind, "a retired signing key was deleted");
        }
        Ok(())
    }

    /// Publishes the next signing key, unless a next key is already published.
    pub(super) async fn publish(
        &self,
        kind: Kind,
        algorithm: Algorithm,
        why: Why,
    ) -> Result<(), KeysError> {
        let fresh = self.fresh(kind, algorithm, SigningKeyState::Next).await?;
        let id = fresh.id().to_owned();
        let teller = self.recorder(why).await?;
        let tx = self.db.begin().await?;
        if fresh.insert(&tx).await? {
            teller.published(&tx, kind, &id).await?;
            tx.commit().await?;
            tracing::info!(
                kid = id,
                kind = kind.name(),
                "a new signing key was published and will sign next"
            );
        }
        Ok(())
    }

    /// Lets the published key `next` sign in place of the key `signing`. Changes nothing if another
    /// replica has already done this.
    async fn promote(
        &self,
        kind: Kind,
        next: &Model,
        signing: &Model,
        why: Why,
    ) -> Result<bool, KeysError> {
        let teller = self.recorder(why).await?;
        let tx = self.db.begin().await?;
        let now = self.clock.now();
        let promoted = stop(&tx, &signing.id, now, why.revoked_at()).await?
            && Entity::update_many()
                .col_expr(Column::State, Expr::value(SigningKeyState::Signing))
                .col_expr(Column::SignsFrom, Expr::value(now))
                .filter(Column::Id.eq(&next.id))
                .filter(Column::State.eq(SigningKeyState::Next))
                .exec(&tx)
                .await?
                .rows_affected
                == 1;
        if promoted {
            teller.rotated(&tx, kind, (&signing.id, &next.id)).await?;
            tx.commit().await?;
            tracing::info!(kid = next.id, kind = kind.name(), "the signing key signs from now on");
        }
        Ok(promoted)
    }

    /// Creates a key that signs at once, in place of the key `old`. Changes nothing if another
    /// replica has already done this.
    pub(super) async fn replace(
        &self,
        kind: Kind,
        algorithm: Algorithm,
        old: Option<&str>,
        why: Why,
    ) -> Result<bool, KeysError> {
        let fresh = self.fresh(kind, algorithm, SigningKeyState::Signing).await?;
        let id = fresh.id().to_owned();
        let before = match old {
            Some(old) => Some((old, self.recorder(why).await?)),
            None => None,
        };
        let tx = self.db.begin().await?;
        if let Some((old, _)) = &before
            && !stop(&tx, old, self.clock.now(), why.revoked_at()).await?
        {
            return Ok(false);
        }
        let made = fresh.insert(&tx).await?;
        if let Some((old, teller)) = before.filter(|_| made) {
            teller.rotated(&tx, kind, (old, &id)).await?;
        }
        tx.commit().await?;
        if made {
            tracing::info!(kid = id, kind = kind.name(), "a signing key was created");
        }
        Ok(made)
    }

    /// All keys, the newest first.
    pub async fn list(&self) -> Result<Vec<Listed>, KeysError> {
        let rows = self.rows().await?;
        Ok(rows.iter().rev().map(|row| self.listed(row)).collect())
    }

    /// The public keys that verify vaultTokens, in the form of `/.well-known/jwks.json`. Creates no
    /// key.
    pub async fn jwks(&self) -> Result<serde_json::Value, KeysError> {
        let (rows, now) = (self.rows().await?, self.clock.now());
        let good = rows.iter().filter(|row| self.verifies(row, now));
        let vault = good.filter_map(|row| self.parse(row)).filter(|key| key.kind == Kind::Vault);
        let keys: Vec<_> = vault.filter_map(|key| key.material.jwk(&key.id)).collect();
        Ok(serde_json::json!({ "keys": keys }))
    }

    fn listed(&self, row: &Model) -> Listed {
        let state = match (row.revoked_at, row.state) {
            (Some(_), _) => KeyState::Revoked,
            (None, SigningKeyState::Next) => KeyState::Next,
            (None, SigningKeyState::Signing) => KeyState::Signing,
            (None, SigningKeyState::Retired) => KeyState::Retired,
        };
        Listed {
            id: row.id.clone(),
            kind: row.kind.clone(),
            algorithm: row.algorithm.clone(),
            state,
            created_at: row.created_at,
            signs_from: if state == KeyState::Next {
                signs_from(row)
            } else {
                row.signs_from.unwrap_or(row.created_at)
            },
            retired_at: row.retired_at,
            verifies_until: self.verifies_until(row).filter(|_| row.revoked_at.is_none()),
            sealed: self.sealed(row),
        }
    }

    /// Rotates by hand: publishes the next key now, and does not wait until the rotation is due.
    pub async fn rotate(&self, kind: Kind) -> Result<Rotated, KeysError> {
        if !self.rotated_kinds().contains(&kind) {
            return Ok(Rotated::Shared);
        }
        let rows = self.rows().await?;
        let opens = |row: &Model| self.parse(row).is_some();
        // If this process cannot decrypt the key that signs, the daemons use another master key.
        // Then this process must not publish a key, because the daemons could not decrypt it.
        if of(&rows, kind, SigningKeyState::Signing).is_some_and(|row| !opens(row)) {
            return Err(KeysError::Sealed(kind));
        }
        match of(&rows, kind, SigningKeyState::Next) {
            Some(next) if opens(next) => return Ok(Rotated::Waiting(signs_from(next))),
            Some(next) => self.drop_unopened(next).await?,
            None => {}
        }
        self.publish(kind, self.algorithm(kind), Why::Asked).await?;
        let rows = self.rows().await?;
        let from = of(&rows, kind, SigningKeyState::Next).map_or(self.clock.now(), signs_from);
        Ok(Rotated::Published(from))
    }

    /// Lets another key sign at once. It is the published key, or a new key that no verifier knows
    /// yet. The tokens of the old key are still accepted.
    pub async fn rotate_now(&self, kind: Kind) -> Result<Rotated, KeysError> {
        if !self.rotated_kinds().contains(&kind) {
            return Ok(Rotated::Shared);
        }
        let rows = self.rows().await?;
        self.succeed(&rows, kind, of(&rows, kind, SigningKeyState::Signing), Why::Asked).await?;
        Ok(Rotated::Signs)
    }

    /// Reports a key as compromised. All tokens that the key signed are refused. If the key is the
    /// one that signs, another key replaces it at once.
    pub async fn retire(&self, id: &str) -> Result<Retired, KeysError> {
        let (rows, now) = (self.rows().await?, self.clock.now());
        let Some((row, kind)) = named(&rows, id) else { return Ok(Retired::Unknown) };
        if kind == Kind::Factor {
            return Ok(Retired::Kept);
        }
        if self.is_to_be_replaced(row, kind) {
            self.succeed(&rows, kind, Some(row), Why::Compromised(now)).await?;
            return Ok(Retired::Replaced);
        }
        let teller = self.recorder(Why::Compromised(now)).await?;
        let tx = self.db.begin().await?;
        let revoked = Entity::update_many()
            .col_expr(Column::State, Expr::value(SigningKeyState::Retired))
            .col_expr(Column::RetiredAt, Expr::value(row.retired_at.unwrap_or(now)))
            .col_expr(Column::RevokedAt, Expr::value(now))
            .filter(Column::Id.eq(id))
            .filter(Column::RevokedAt.is_null())
            .exec(&tx)
            .await?;
        if revoked.rows_affected == 1 {
            teller.retired(&tx, kind, id).await?;
        }
        tx.commit().await?;
        Ok(Retired::Revoked)
    }

    /// Returns the result that [`KeyDependencies::retire`] would have, without changing anything.
    pub async fn would_retire(&self, id: &str) -> Result<Retired, KeysError> {
        let rows = self.rows().await?;
        Ok(match named(&rows, id) {
            None => Retired::Unknown,
            Some((_, Kind::Factor)) => Retired::Kept,
            Some((row, kind)) if self.is_to_be_replaced(row, kind) => Retired::Replaced,
            Some(_) => Retired::Revoked,
        })
    }

    /// Whether another key must begin to sign if this key is retired.
    fn is_to_be_replaced(&self, row: &Model, kind: Kind) -> bool {
        row.state == SigningKeyState::Signing && self.kinds().contains(&kind)
    }

    /// Lets another key sign at once, in place of the key `signing`.
    async fn succeed(
        &self,
        rows: &[Model],
        kind: Kind,
        signing: Option<&Model>,
        why: Why,
    ) -> Result<(), KeysError> {
        let next = of(rows, kind, SigningKeyState::Next).filter(|row| self.parse(row).is_some());
        let done = if let (Some(next), Some(signing)) = (next, signing) {
            self.promote(kind, next, signing, why).await?
        } else {
            let old = signing.map(|row| row.id.as_str());
            self.replace(kind, self.algorithm(kind), old, why).await?
        };
        if done {
            return Ok(());
        }
        Err(DbErr::Custom("another process changed the keys at the same moment: try again".into())
            .into())
    }
}

fn named<'a>(rows: &'a [Model], id: &str) -> Option<(&'a Model, Kind)> {
    let row = rows.iter().find(|row| row.id == id)?;
    Some((row, Kind::from_name(&row.kind)?))
}

/// Retires a key that signs. Returns false if the key had already stopped signing.
pub(super) async fn stop<C: ConnectionTrait>(
    connection: &C,
    id: &str,
    now: UnixMillis,
    revoked_at: Option<UnixMillis>,
) -> Result<bool, DbErr> {
    let stopped = Entity::update_many()
        .col_expr(Column::State, Expr::value(SigningKeyState::Retired))
        .col_expr(Column::RetiredAt, Expr::value(now))
        .col_expr(Column::RevokedAt, Expr::value(revoked_at))
        .filter(Column::Id.eq(id))
        .filter(Column::State.eq(SigningKeyState::Signing))
        .exec(connection)
        .await?;
    Ok(stopped.rows_affected == 1)
}

/// The time from which a published key signs.
fn signs_from(next: &Model) -> UnixMillis {
    next.created_at + millis(PUBLISH_AHEAD)
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
