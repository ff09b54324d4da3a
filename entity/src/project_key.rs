//! The table `project_keys`: the service accounts of projects.

use sea_orm::entity::prelude::*;

/// A secret key with which a program acts for one project.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "project_keys")]
pub struct Model {
    /// The key's id. In the key's tokens, `client_id` and `sub` have this value. Without hyphens,
    /// the id is the middle part of the text `lk_<id>_<secret>`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub team_id: Uuid,
    pub project_id: Uuid,
    /// The displayed name. It has 1 to 100 characters.
    pub name: String,
    /// The scopes, separated by spaces.
    pub scopes: String,
    /// SHA-256 of the whole text `lk_<id>_<secret>`, in base64url.
    pub digest: String,
    /// The user who created the key. Null after this user is deleted.
    pub created_by: Option<Uuid>,
    pub created_at: i64,
    /// The key is invalid from this time on. Null if the key does not expire.
    pub expires_at: Option<i64>,
    /// When a program last authenticated with the key. The value is updated at most once a minute.
    /// Null if no program has authenticated with the key.
    pub last_used_at: Option<i64>,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
