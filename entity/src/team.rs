//! The table `teams`: workspaces. The members of a team share its projects.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// Whether a team may be used.
    TeamState, unknown Disabled {
        /// The team may be used.
        Active = "active",
        /// The operator has disabled the team. The tokens of a disabled team give no access.
        /// Members can still read and leave the team, and owners can delete it.
        Disabled = "disabled",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "teams")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The displayed name. It has 1 to 100 characters.
    pub name: String,
    /// The name in URLs. It is unique, and consists of lower-case letters, digits and hyphens.
    pub slug: String,
    pub created_at: i64,
    /// The state of the team. Only the operator can set it to `disabled`.
    pub status: TeamState,
    /// Whether members need a session with two factors to use the team.
    pub require_factor: bool,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
