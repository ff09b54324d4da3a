//! `project_keys`: service accounts of a project.

use sea_orm::entity::prelude::*;

/// A key that speaks for one project.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "project_keys")]
pub struct Model {
    /// Its public id: the middle of `lk_<id>_<secret>`, and `client_id` of its tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The project's team.
    pub team_id: Uuid,
    /// The project.
    pub project_id: Uuid,
    /// What people call it: 1 to 100 characters.
    pub name: String,
    /// Space-separated.
    pub scopes: String,
    /// SHA-256 of the secret in base64url.
    pub digest: String,
    /// Who made it; null where they are gone.
    pub created_by: Option<Uuid>,
    /// When it was made.
    pub created_at: i64,
    /// Void from this moment on; null: never.
    pub expires_at: Option<i64>,
    /// When it last got a token; null: never.
    pub last_used_at: Option<i64>,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
