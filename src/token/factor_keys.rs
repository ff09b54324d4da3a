//! The key of second factors. It is stored like the signing keys, but it is not rotated, and it is
//! never deleted.

use latchkey_entity::signing_key::{Column, Entity, Model, SigningKeyState};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::key_events::Why;
use super::keys::{FactorKeys, KeysError, Kind};
use super::rotation::stop;
use super::stored::{KeyDependencies, of};
use crate::clock::UnixMillis;
use crate::secret::{KeyError, Secret};

impl KeyDependencies {
    /// The keys of second factors. `None` if the table has no current key.
    ///
    /// # Errors
    /// [`KeysError::Sealed`] if no master key of this process decrypts the key.
    pub(super) fn factors(&self, rows: &[Model]) -> Result<Option<FactorKeys>, KeysError> {
        let Some(row) = of(rows, Kind::Factor, SigningKeyState::Signing) else { return Ok(None) };
        let (bytes, _) = self.open(row).ok_or(KeysError::Sealed(Kind::Factor))?;
        let key = bytes.expose().as_slice().try_into().map_err(|_| KeyError)?;
        Ok(Some(FactorKeys::new(&Secret::new(key))))
    }

    /// The keys of second factors, if there are any. Creates no key.
    pub async fn existing_factor_keys(&self) -> Result<Option<FactorKeys>, KeysError> {
        self.factors(&self.rows().await?)
    }

    /// The keys of second factors in a process that runs beside daemons, such as a command of the
    /// CLI. This process creates a missing key, but never replaces one.
    pub async fn factor_keys(&self) -> Result<FactorKeys, KeysError> {
        if let Some(keys) = self.factors(&self.rows().await?)? {
            return Ok(keys);
        }
        self.replace(Kind::Factor, self.algorithm(Kind::Factor), None, Why::Lost).await?;
        self.factors(&self.rows().await?)?.ok_or(KeysError::Sealed(Kind::Factor))
    }

    /// Puts an earlier key of second factors in the place of the key `current`, which no master key
    /// of this process decrypts. Returns false if there is no earlier key that can be decrypted.
    ///
    /// A daemon that starts with a wrong master key replaces the key. When it starts with the right
    /// master key again, the secrets of the factors must be readable again.
    pub(super) async fn reinstate_factor_key(
        &self,
        rows: &[Model],
        current: Option<&Model>,
    ) -> Result<bool, KeysError> {
        let is_earlier = |row: &&Model| {
            row.kind == Kind::Factor.name()
                && row.state == SigningKeyState::Retired
                && self.open(row).is_some()
        };
        let (Some(earlier), Some(current)) = (rows.iter().rev().find(is_earlier), current) else {
            return Ok(false);
        };
        let recorder = self.recorder(Why::Lost).await?;
        let tx = self.db.begin().await?;
        if !stop(&tx, &current.id, self.clock.now(), None).await? {
            // Another replica was faster.
            return Ok(true);
        }
        let reinstated = Entity::update_many()
            .col_expr(Column::State, Expr::value(SigningKeyState::Signing))
            .col_expr(Column::RetiredAt, Expr::value(None::<UnixMillis>))
            .filter(Column::Id.eq(&earlier.id))
            .filter(Column::State.eq(SigningKeyState::Retired))
            .exec(&tx)
            .await?;
        if reinstated.rows_affected == 1 {
            recorder.rotated(&tx, Kind::Factor, (&current.id, &earlier.id)).await?;
            tx.commit().await?;
            tracing::warn!(
                kid = earlier.id,
                "the current key for second factors cannot be decrypted, so an earlier key is used again"
            );
        }
        Ok(true)
    }
}
