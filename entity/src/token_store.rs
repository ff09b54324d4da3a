//! The table `token_store`: the embedded token store, whose entries have a TTL.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "token_store")]
pub struct Model {
    /// The entry's key, which is the same as in Redis.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// The owner of the entry. Entries can be listed by their owner. Empty if the entry is never
    /// listed.
    pub owner: String,
    /// The value as JSON.
    pub value: String,
    /// The entry counts as deleted from this time on.
    pub expires_at: i64,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
