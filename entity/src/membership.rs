//! `memberships`: who belongs to which team, as what.

use sea_orm::entity::prelude::*;

/// A person in a team.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub struct Model {
    /// The membership.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The team.
    pub team_id: Uuid,
    /// The person; once per team.
    pub user_id: Uuid,
    /// `owner`, `admin`, `member` or `viewer`.
    pub role: String,
    /// Bumped by each change; `mep` in the vaultToken.
    pub epoch: i32,
    /// Since when.
    pub created_at: i64,
    /// When the person last chose this team; 0: never.
    pub last_used_at: i64,
    /// The project that the person last chose in it; it may be gone.
    pub last_project_id: Option<Uuid>,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
