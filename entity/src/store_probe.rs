//! `store_probe`: the one row that shows whether the database takes writes.

use sea_orm::entity::prelude::*;

/// The row; every replica counts it up.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "store_probe")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// How often it was written.
    pub count: i64,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
