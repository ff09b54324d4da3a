//! `ended_sessions`: sessions that were ended alone, until they would have ended anyway: what a lost token store must not forget.

use sea_orm::entity::prelude::*;

/// A session that was ended.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ended_sessions")]
pub struct Model {
    /// The session.
    #[sea_orm(primary_key, auto_increment = false)]
    pub sid: String,
    /// Whose it was.
    pub user_id: Uuid,
    /// `logout`, `revoked` or `reused`.
    pub reason: String,
    /// When it ended.
    pub ended_at: i64,
    /// From when on the row may be swept.
    pub expires_at: i64,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
