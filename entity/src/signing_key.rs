//! The table `signing_keys`: the keys that sign tokens, encrypted with the master key.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// The state of a signing key.
    SigningKeyState, unknown Retired {
        /// It is published, and will sign later.
        Next = "next",
        /// It signs.
        Signing = "signing",
        /// It only verifies.
        Retired = "retired",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    /// The key's id: `kid` in the tokens that it signs.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The kind of token that it signs: `user` or `vault`.
    pub kind: String,
    /// `HS256`, `ES256`, `EdDSA` or `RS256`.
    pub algorithm: String,
    /// The private key, encrypted with AES-256-GCM: nonce, then ciphertext and tag.
    pub sealed: Vec<u8>,
    /// One key of each kind signs.
    pub state: SigningKeyState,
    pub created_at: i64,
    /// When it stopped signing.
    pub retired_at: Option<i64>,
    /// When it began to sign. Null while it is `next`. Also null for keys of the first release,
    /// which signed as soon as they were created.
    pub signs_from: Option<i64>,
    /// When an operator declared it compromised, otherwise null. It verifies nothing from then on.
    pub revoked_at: Option<i64>,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
