//! The table `memberships`: which user belongs to which team, with which role.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub team_id: Uuid,
    /// The user, unique within the team.
    pub user_id: Uuid,
    /// `owner`, `admin`, `member` or `viewer`.
    pub role: String,
    /// Each change of the membership raises it. It is `mep` in the vaultToken.
    pub epoch: i32,
    /// When the user became a member.
    pub created_at: i64,
    /// When the user last chose this team, or 0 if never.
    pub last_used_at: i64,
    /// The project that the user last chose in this team. It may be deleted.
    pub last_project_id: Option<Uuid>,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
