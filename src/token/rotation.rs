//! Rotation: publish a key ahead, let it sign, retire the one before, forget it.
//!
//! | state | published, verifies | signs | until |
//! |---|---|---|---|
//! | `next` | yes | no | [`PUBLISH_AHEAD`] has passed |
//! | `signing` | yes | yes | the next one takes its place |
//! | `retired` | yes | no | its last token can matter no more; then the row goes |
//!
//! Any replica may take a step, and the first does: the steps are compare-and-set in SQL, and the audit is told of them in the
//! same transaction. A key that was called
//! compromised (`revoked_at`) verifies nothing, from a replica's next reading on.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use latchkey_entity::signing_key::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _};

use super::key_events::Why;
use super::keys::{KeysError, Kind};
pub use super::stored::Sealed;
use super::stored::{KeyDependencies, State, algorithm_of, of};
use crate::clock::{UnixMillis, millis};

/// How long the key that is to sign next may be overdue before it goes: whoever could open it would have let it sign within
/// 30 s, so nobody can; and as long as it stands no other is published.
const UNOPENED_MAX: Duration = Duration::from_hours(1);

/// How long a key is published before it signs: verifiers keep the JWKS for 5 min, replicas' clocks differ by up to
/// 2 min, and one that misses its readings publishes it up to 3 min late (six readings of 30 s).
pub const PUBLISH_AHEAD: Duration = Duration::from_mins(10);

/// A key as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `kid`.
    pub id: String,
    /// `user` or `vault`.
    pub kind: String,
    /// `alg`.
    pub algorithm: String,
    /// `next`, `signing`, `retired` or `revoked`.
    pub state: &'static str,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Since when it signs, or from when on it will, once a daemon looks.
    pub signs_from: UnixMillis,
    /// When it stopped signing.
    pub retired_at: Option<UnixMillis>,
    /// Until when it verifies; none while that is open, and for a revoked one.
    pub verifies_until: Option<UnixMillis>,
    /// Which master key opens it.
    pub sealed: Sealed,
}

impl Listed {
    /// Whether a master key of ours opens it.
    pub fn opens(&self) -> bool {
        self.sealed != Sealed::Elsewhere
    }
}

/// What became of a rotation by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// A key was published; it signs from this moment on.
    Published(UnixMillis),
    /// One had been published before; it signs from this moment on.
    Waiting(UnixMillis),
    /// A new key signs.
    Signs,
    /// The kind has no key here: vaultTokens are signed with `tokens.secret`.
    Shared,
}

/// What became of a key that was called compromised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// It verifies nothing any more.
    Revoked,
    /// The same, and a new key signs in its place.
    Replaced,
    /// There is no such key.
    Unknown,
}

impl KeyDependencies {
    /// Takes the steps that are due.
    pub(super) async fn step(&self) -> Result<(), KeysError> {
        let (rows, now) = (self.rows().await?, self.clock.now());
        for kind in self.kinds() {
            let Some(signing) = of(&rows, *kind, "signing") else { continue };
            let since = signing.signs_from.unwrap_or(signing.created_at);
            let due = since + millis(self.tokens.rotate_every) - millis(PUBLISH_AHEAD);
            match of(&rows, *kind, "next") {
                // One that we cannot open is for a replica with the master key that can.
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

    /// Deletes a key that verifies nothing any more. That one was called compromised was told when it was.
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
            tracing::info!(kid = row.id, kind = row.kind, "retired signing key forgotten");
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
        let fresh = self.fresh(kind, algorithm, State::Next).await?;
        let id = fresh.id().to_owned();
        let teller = self.recorder(why).await?;
        let tx = self.db.begin().await?;
        if fresh.insert(&tx).await? {
            teller.published(&tx, kind, &id).await?;
            tx.commit().await?;
            tracing::info!(kid = id, kind = kind.name(), "signing key published, to sign next");
        }
        Ok(())
    }

    /// Lets the published key sign in place of the other. Nothing happens where another replica did so before.
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
                .col_expr(Column::State, Expr::value("signing"))
                .col_expr(Column::SignsFrom, Expr::value(now))
                .filter(Column::Id.eq(&next.id))
                .filter(Column::State.eq("next"))
                .exec(&tx)
                .await?
                .rows_affected
                == 1;
        if promoted {
            teller.rotated(&tx, kind, (&signing.id, &next.id)).await?;
            tx.commit().await?;
            tracing::info!(kid = next.id, kind = kind.name(), "signing key signs from now on");
        }
        Ok(promoted)
    }

    /// Makes a key that signs at once, in place of `old`. Nothing happens where another replica did so before.
    pub(super) async fn replace(
        &self,
        kind: Kind,
        algorithm: Algorithm,
        old: Option<&str>,
        why: Why,
    ) -> Result<bool, KeysError> {
        let fresh = self.fresh(kind, algorithm, State::Signing).await?;
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
            tracing::info!(kid = id, kind = kind.name(), "signing key made");
        }
        Ok(made)
    }

    /// Every key, the newest first.
    pub async fn list(&self) -> Result<Vec<Listed>, KeysError> {
        let rows = self.rows().await?;
        Ok(rows.iter().rev().map(|row| self.listed(row)).collect())
    }

    /// The public keys that verify vaultTokens, as `/.well-known/jwks.json` has them; no key is made.
    pub async fn jwks(&self) -> Result<serde_json::Value, KeysError> {
        let (rows, now) = (self.rows().await?, self.clock.now());
        let good = rows.iter().filter(|row| self.verifies(row, now));
        let vault = good.filter_map(|row| self.parse(row)).filter(|key| key.kind == Kind::Vault);
        let keys: Vec<_> = vault.filter_map(|key| key.material.jwk(&key.id)).collect();
        Ok(serde_json::json!({ "keys": keys }))
    }

    fn listed(&self, row: &Model) -> Listed {
        let state = match (row.revoked_at, row.state.as_str()) {
            (Some(_), _) => "revoked",
            (None, "next") => "next",
            (None, "signing") => "signing",
            (None, _) => "retired",
        };
        Listed {
            id: row.id.clone(),
            kind: row.kind.clone(),
            algorithm: row.algorithm.clone(),
            state,
            created_at: row.created_at,
            signs_from: if state == "next" {
                signs_from(row)
            } else {
                row.signs_from.unwrap_or(row.created_at)
            },
            retired_at: row.retired_at,
            verifies_until: self.verifies_until(row).filter(|_| row.revoked_at.is_none()),
            sealed: self.sealed(row),
        }
    }

    /// The rotation by hand: publishes a key now instead of when the time has come.
    pub async fn rotate(&self, kind: Kind) -> Result<Rotated, KeysError> {
        if !self.kinds().contains(&kind) {
            return Ok(Rotated::Shared);
        }
        let rows = self.rows().await?;
        let opens = |row: &Model| self.parse(row).is_some();
        // Whoever does not open the key that signs has another master key than the daemons: no key of theirs is to sign.
        if of(&rows, kind, "signing").is_some_and(|row| !opens(row)) {
            return Err(KeysError::Sealed(kind));
        }
        match of(&rows, kind, "next") {
            Some(next) if opens(next) => return Ok(Rotated::Waiting(signs_from(next))),
            Some(next) => self.drop_unopened(next).await?,
            None => {}
        }
        self.publish(kind, self.algorithm(kind), Why::Asked).await?;
        let rows = self.rows().await?;
        let from = of(&rows, kind, "next").map_or(self.clock.now(), signs_from);
        Ok(Rotated::Published(from))
    }

    /// A new key signs at once: the published one, or one that no verifier has seen yet. The one before verifies on.
    pub async fn rotate_now(&self, kind: Kind) -> Result<Rotated, KeysError> {
        if !self.kinds().contains(&kind) {
            return Ok(Rotated::Shared);
        }
        let rows = self.rows().await?;
        self.succeed(&rows, kind, of(&rows, kind, "signing"), Why::Asked).await?;
        Ok(Rotated::Signs)
    }

    /// Calls a key compromised: no token of it is good any more. Where it signs, another takes its place at once.
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
            .col_expr(Column::State, Expr::value("retired"))
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

    /// What [`KeyDependencies::retire`] would do; changes nothing.
    pub async fn would_retire(&self, id: &str) -> Result<Retired, KeysError> {
        let rows = self.rows().await?;
        Ok(match named(&rows, id) {
            None => Retired::Unknown,
            Some((row, kind)) if self.is_to_be_replaced(row, kind) => Retired::Replaced,
            Some(_) => Retired::Revoked,
        })
    }

    /// Whether another key has to sign once this one is gone.
    fn is_to_be_replaced(&self, row: &Model, kind: Kind) -> bool {
        row.state == "signing" && self.kinds().contains(&kind)
    }

    /// Another key signs in place of `signing`, at once.
    async fn succeed(
        &self,
        rows: &[Model],
        kind: Kind,
        signing: Option<&Model>,
        why: Why,
    ) -> Result<(), KeysError> {
        let next = of(rows, kind, "next").filter(|row| self.parse(row).is_some());
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

/// The key of this `kid`, with its kind.
fn named<'a>(rows: &'a [Model], id: &str) -> Option<(&'a Model, Kind)> {
    let row = rows.iter().find(|row| row.id == id)?;
    Some((row, Kind::from_name(&row.kind)?))
}

/// Ends a key's signing, unless it has ended.
async fn stop<C: ConnectionTrait>(
    connection: &C,
    id: &str,
    now: UnixMillis,
    revoked_at: Option<UnixMillis>,
) -> Result<bool, DbErr> {
    let stopped = Entity::update_many()
        .col_expr(Column::State, Expr::value("retired"))
        .col_expr(Column::RetiredAt, Expr::value(now))
        .col_expr(Column::RevokedAt, Expr::value(revoked_at))
        .filter(Column::Id.eq(id))
        .filter(Column::State.eq("signing"))
        .exec(connection)
        .await?;
    Ok(stopped.rows_affected == 1)
}

/// From when on a published key signs.
fn signs_from(next: &Model) -> UnixMillis {
    next.created_at + millis(PUBLISH_AHEAD)
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
