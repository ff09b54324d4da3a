//! The table `memberships`: the users who belong to a team, each with a role.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub team_id: Uuid,
    /// The user. A user has at most one membership in a team.
    pub user_id: Uuid,
    /// The role of the user in the team: `owner`, `admin`, `member` or `viewer`.
    pub role: String,
    /// The epoch of the membership. Each change of the membership raises it. It is the claim `mep`
    /// of the vaultToken.
    pub epoch: i32,
    /// When the user became a member.
    pub created_at: i64,
    /// When the user last chose this team, or 0 if the user never chose it.
    pub last_used_at: i64,
    /// The project that the user last chose in this team. This project is perhaps deleted by now.
    pub last_project_id: Option<Uuid>,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
