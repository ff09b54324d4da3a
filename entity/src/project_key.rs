//! The table `project_keys`: the service accounts of projects.

use sea_orm::entity::prelude::*;

/// A secret key with which a program acts for one project.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "project_keys")]
pub struct Model {
    /// The key's id. It is `client_id` and `sub` in the key's tokens. Without hyphens it is the
    /// middle part of `lk_<id>_<secret>`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub team_id: Uuid,
    pub project_id: Uuid,
    /// The displayed name: 1 to 100 characters.
    pub name: String,
    /// The scopes, separated by spaces.
    pub scopes: String,
    /// SHA-256 of the whole `lk_<id>_<secret>`, in base64url.
    pub digest: String,
    /// The user who created the key. Null once that user is deleted.
    pub created_by: Option<Uuid>,
    pub created_at: i64,
    /// The key is void from this time on. Null if it does not expire.
    pub expires_at: Option<i64>,
    /// When a program last authenticated with the key, to the minute. Null if never.
    pub last_used_at: Option<i64>,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
