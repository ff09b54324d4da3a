//! The table `ended_sessions`: sessions that were ended one by one. A row stays until the session
//! would have expired anyway, so that it stays ended even if the token store is lost.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ended_sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub sid: String,
    pub user_id: Uuid,
    /// `logout`, `revoked` or `reused`.
    pub reason: String,
    pub ended_at: i64,
    /// The row may be deleted from this time on.
    pub expires_at: i64,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
