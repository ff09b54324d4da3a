//! `teams`: workspaces: who shares projects.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// Whether a team may be used.
    TeamState, unknown Disabled {
        /// It may.
        Active = "active",
        /// The operator has disabled it: its tokens open nothing; members can look at it and leave, owners delete it.
        Disabled = "disabled",
    }
}

/// A team.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "teams")]
pub struct Model {
    /// The team.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// For people: 1 to 100 characters.
    pub name: String,
    /// For URLs, unique: lower-case letters, digits, hyphens.
    pub slug: String,
    /// When it was made.
    pub created_at: i64,
    /// `active` or, by the operator's hand, `disabled`.
    pub status: TeamState,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
