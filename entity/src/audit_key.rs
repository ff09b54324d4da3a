//! The table `audit_keys`: the keys that authenticate audit events, encrypted with the master key.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// The state of an audit key.
    AuditKeyState, unknown Retired {
        /// It authenticates new events.
        Current = "current",
        /// It only verifies events.
        Retired = "retired",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_keys")]
pub struct Model {
    /// The key's id, which is in each event that the key authenticates.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// 32 random bytes, encrypted with AES-256-GCM: nonce, then ciphertext and tag.
    pub sealed: Vec<u8>,
    /// One key is current. Every other key is retired.
    pub state: AuditKeyState,
    pub created_at: i64,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
