//! The table `teams`: workspaces, whose members share projects.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// Whether a team may be used.
    TeamState, unknown Disabled {
        /// The team may be used.
        Active = "active",
        /// The operator has disabled the team. Its tokens give access to nothing. Members can still
        /// read it and leave it, and owners can delete it.
        Disabled = "disabled",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "teams")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The displayed name: 1 to 100 characters.
    pub name: String,
    /// The name in URLs, which is unique: lower-case letters, digits and hyphens.
    pub slug: String,
    pub created_at: i64,
    /// Only the operator sets `disabled`.
    pub status: TeamState,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
