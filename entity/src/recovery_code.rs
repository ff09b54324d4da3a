//! The table `recovery_codes`: the unused recovery codes of users. A code that was used is deleted.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "recovery_codes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    /// The HMAC-SHA-256 of the code and the user's id, in base64url.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: String,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
