//! `audit_keys`: the keys that authenticate audit rows, sealed with the master key.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// What an audit key does.
    AuditKeyState, unknown Retired {
        /// It authenticates new rows.
        Current = "current",
        /// It only checks rows.
        Retired = "retired",
    }
}

/// One audit key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_keys")]
pub struct Model {
    /// Its name, in each row that it authenticates.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// 32 random bytes under AES-256-GCM: nonce, then ciphertext and tag.
    pub sealed: Vec<u8>,
    /// One key is current; every other is retired.
    pub state: AuditKeyState,
    /// When it was made.
    pub created_at: i64,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
