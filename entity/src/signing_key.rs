//! The table `signing_keys`, encrypted with the master key: the keys that sign tokens, the key that
//! authenticates the records of the token store, and the key of the second factors.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// The state of a signing key.
    SigningKeyState, unknown Retired {
        /// The key is published, and will sign later.
        Next = "next",
        /// The key signs new tokens.
        Signing = "signing",
        /// The key no longer signs. It only verifies tokens.
        Retired = "retired",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    /// The key's id. It is `kid` in the header of the tokens that the key signs.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The kind of token that the key signs, `user` or `vault`. Or `store` for the key of the token
    /// store, or `factor` for the key of the second factors.
    pub kind: String,
    /// `HS256`, `ES256`, `EdDSA` or `RS256`.
    pub algorithm: String,
    /// The private key, encrypted with AES-256-GCM. The value is the nonce, then the ciphertext and
    /// the tag.
    pub sealed: Vec<u8>,
    /// The state of the key. For each kind, only one key has the state `signing`.
    pub state: SigningKeyState,
    pub created_at: i64,
    /// When the key stopped signing. Null if it has not stopped.
    pub retired_at: Option<i64>,
    /// When the key began to sign. Null while its state is `next`. Also null for keys of the first
    /// release, because those keys signed as soon as they were created.
    pub signs_from: Option<i64>,
    /// When an operator declared that the key is compromised, otherwise null. From this time on,
    /// tokens of the key are refused.
    pub revoked_at: Option<i64>,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
