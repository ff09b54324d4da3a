//! The table `factors`: the second factors of users.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// The kind of a second factor.
    FactorKind, unknown Passkey {
        /// An authenticator app that computes time-based codes (RFC 6238).
        Totp = "totp",
        /// A passkey (WebAuthn).
        Passkey = "passkey",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "factors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub kind: FactorKind,
    /// The name that the user gave the factor. It follows the rules of a user's name.
    pub name: String,
    /// The secret of a TOTP factor, encrypted with AES-256-GCM. The value is the nonce, then the
    /// ciphertext and the tag.
    pub sealed: Vec<u8>,
    /// The newest time step (RFC 6238 §4.2) whose code was accepted. No code of this step or of an
    /// earlier step is accepted again.
    pub last_step: i64,
    pub created_at: i64,
    /// When the factor was last used. Null if it was used only to confirm itself.
    pub last_used_at: Option<i64>,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
