//! The table `ended_sessions`: sessions that were ended one by one. The row of a session stays
//! until the session would have expired anyway. So the session stays ended even if the token store
//! loses its data.

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
    /// When the session would have expired. The row may be deleted from this time on.
    pub expires_at: i64,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
