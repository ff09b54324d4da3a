//! `projects`: what a team owns.

use sea_orm::entity::prelude::*;

/// A project of a team.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "projects")]
pub struct Model {
    /// The project.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its team.
    pub team_id: Uuid,
    /// For people: 1 to 100 characters.
    pub name: String,
    /// For URLs, unique within the team.
    pub slug: String,
    /// When it was made.
    pub created_at: i64,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
