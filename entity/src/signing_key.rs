//! `signing_keys`: the keys that sign tokens, sealed with the master key.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// What a signing key does.
    SigningKeyState, unknown Retired {
        /// It is published, and will sign.
        Next = "next",
        /// It signs.
        Signing = "signing",
        /// It only verifies.
        Retired = "retired",
    }
}

/// One signing key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    /// The `kid`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// `user` or `vault`: which token it signs.
    pub kind: String,
    /// `HS256`, `ES256`, `EdDSA` or `RS256`.
    pub algorithm: String,
    /// The private key under AES-256-GCM: nonce, then ciphertext and tag.
    pub sealed: Vec<u8>,
    /// One key of each kind signs.
    pub state: SigningKeyState,
    /// When it was made.
    pub created_at: i64,
    /// When it stopped signing.
    pub retired_at: Option<i64>,
    /// When it began to sign; null while it is `next`, and for keys of the first release, which signed when made.
    pub signs_from: Option<i64>,
    /// When it was called compromised; null unless it was. It verifies nothing from then on.
    pub revoked_at: Option<i64>,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
