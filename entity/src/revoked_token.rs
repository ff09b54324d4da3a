//! `revoked_tokens`: vaultTokens that were revoked, until they would have expired anyway.

use sea_orm::entity::prelude::*;

/// A token that was revoked.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "revoked_tokens")]
pub struct Model {
    /// The token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub jti: String,
    /// When it was revoked.
    pub revoked_at: i64,
    /// From when on the row may be swept: the token's own end, and a little.
    pub expires_at: i64,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
