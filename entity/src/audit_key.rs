//! The table `audit_keys`: the keys that authenticate audit events, encrypted with the master key.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// The state of an audit key.
    AuditKeyState, unknown Retired {
        /// The key authenticates new events.
        Current = "current",
        /// The key no longer authenticates new events. It only verifies old events.
        Retired = "retired",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_keys")]
pub struct Model {
    /// The key's id. Each event that the key authenticates contains this id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The key: 32 random bytes, encrypted with AES-256-GCM. The value is the nonce, then the
    /// ciphertext and the tag.
    pub sealed: Vec<u8>,
    /// The state of the key. Only one key has the state `current`. Every other key is retired.
    pub state: AuditKeyState,
    pub created_at: i64,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
