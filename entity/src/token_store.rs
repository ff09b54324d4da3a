//! `token_store`: the embedded token store: entries with a time to live.

use sea_orm::entity::prelude::*;

/// One entry of the embedded token store.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "token_store")]
pub struct Model {
    /// The entry: the same name as in Redis.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// Groups what is listed together; empty where nothing is.
    pub owner: String,
    /// JSON.
    pub value: String,
    /// Gone from this moment on.
    pub expires_at: i64,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
