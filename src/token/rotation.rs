//! The rotation of signing keys: publish a key, let it sign, retire the previous key, delete it.
//!
//! | state | published, verifies | signs | until |
//! |---|---|---|---|
//! | `next` | yes | no | [`PUBLISH_AHEAD`] has passed |
//! | `signing` | yes | yes | the next key replaces it |
//! | `retired` | yes | no | its last token cannot be used any more; then the row is deleted |
//!
//! Any replica may take a step, and the first one does. The steps are compare-and-set statements in
//! SQL, and the audit events are written in the same transaction. A compromised key (`revoked_at`)
//! verifies no token from the next reading of each replica on.

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

/// How long a key that is to sign next may be overdue before it is deleted. A replica that can
/// decrypt it would have let it sign within 30 s, so no replica can. While it exists, no other key
/// is published.
const UNOPENED_MAX: Duration = Duration::from_hours(1);

/// How long a key is published before it signs. Verifiers cache the JWKS for 5 min. The clocks of
/// replicas differ by up to 2 min. A replica that misses six readings of 30 s publishes the key 3
/// min late.
pub const PUBLISH_AHEAD: Duration = Duration::from_mins(10);

/// A key as the command line shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The `kid`.
    pub id: String,
    /// `user` or `vault`.
    pub kind: String,
    /// The `alg`.
    pub algorithm: String,
    pub state: KeyState,
    pub created_at: UnixMillis,
    /// The time from which it signs. A published key signs at the first step of a daemon after this
    /// time.
    pub signs_from: UnixMillis,
    pub retired_at: Option<UnixMillis>,
    /// The time until which it verifies. `None` while no end is known, and for a revoked key.
    pub verifies_until: Option<UnixMillis>,
    /// The master key that decrypts it.
    pub sealed: Sealed,
}

impl Listed {
    /// Whether one of our master keys decrypts it.
    pub fn opens(&self) -> bool {
        self.sealed != Sealed::Elsewhere
    }
}

/// The result of a rotation by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// A key was published. It signs from this time on.
    Published(UnixMillis),
    /// A key was already published. It signs from this time on.
    Waiting(UnixMillis),
    /// A new key signs now.
    Signs,
    /// There is no key of this kind: vaultTokens are signed with `tokens.secret`.
    Shared,
}

/// The result of reporting a key as compromised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// It verifies no token any more.
    Revoked,
    /// It verifies no token any more, and a new key signs in its place.
    Replaced,
    Unknown,
}

impl KeyDependencies {
    pub(super) async fn step(&self) -> Result<(), KeysError> {
        let (rows, now) = (self.rows().await?, self.clock.now());
        for kind in self.kinds() {
            let Some(signing) = of(&rows, *kind, SigningKeyState::Signing) else { continue };
            let since = signing.signs_from.unwrap_or(signing.created_at);
            let due = since + millis(self.tokens.rotate_every) - millis(PUBLISH_AHEAD);
            match of(&rows, *kind, SigningKeyState::Next) {
                // If we cannot decrypt the next key, a replica with the right master key takes this
                // step.
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

    /// Deletes a key that verifies no token any more. A compromised key was already recorded as
    /// retired, so it has no second event.
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

    /// Publishes a key that is to sign next, unless one is published already.
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

    /// Lets the published key sign in place of the current one. Changes nothing if another replica
    /// did it first.
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

    /// Creates a key that signs at once, in place of `old`. Changes nothing if another replica did
    /// it first.
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

    /// The rotation by hand: publishes the next key now and not when it is due.
    pub async fn rotate(&self, kind: Kind) -> Result<Rotated, KeysError> {
        if !self.kinds().contains(&kind) {
            return Ok(Rotated::Shared);
        }
        let rows = self.rows().await?;
        let opens = |row: &Model| self.parse(row).is_some();
        // If we cannot decrypt the key that signs, the daemons have another master key. A key under
        // our master key must not be published then.
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

    /// Lets a new key sign at once: the published key, or a new key that no verifier knows yet. The
    /// previous key still verifies.
    pub async fn rotate_now(&self, kind: Kind) -> Result<Rotated, KeysError> {
        if !self.kinds().contains(&kind) {
            return Ok(Rotated::Shared);
        }
        let rows = self.rows().await?;
        self.succeed(&rows, kind, of(&rows, kind, SigningKeyState::Signing), Why::Asked).await?;
        Ok(Rotated::Signs)
    }

    /// Reports a key as compromised: all tokens that it signed are refused. If it signs, another
    /// key replaces it at once.
    pub async fn retire(&self, id: &str) -> Result<Retired, KeysError> {
        let (rows, now) = (self.rows().await?, self.clock.now());
        let Some((row, kind)) = named(&rows, id) else { return Ok(Retired::Unknown) };
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

    /// The result that [`KeyDependencies::retire`] would have. Changes nothing.
    pub async fn would_retire(&self, id: &str) -> Result<Retired, KeysError> {
        let rows = self.rows().await?;
        Ok(match named(&rows, id) {
            None => Retired::Unknown,
            Some((row, kind)) if self.is_to_be_replaced(row, kind) => Retired::Replaced,
            Some(_) => Retired::Revoked,
        })
    }

    /// Whether another key must sign after this one is retired.
    fn is_to_be_replaced(&self, row: &Model, kind: Kind) -> bool {
        row.state == SigningKeyState::Signing && self.kinds().contains(&kind)
    }

    /// Lets another key sign at once in place of `signing`.
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

/// Ends the signing of a key. Returns false if it had ended already.
async fn stop<C: ConnectionTrait>(
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
