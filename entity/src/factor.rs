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
    /// ciphertext and the tag. It is empty for a passkey.
    pub sealed: Vec<u8>,
    /// The newest time step (RFC 6238 §4.2) whose code was accepted. No code of this step or of an
    /// earlier step is accepted again.
    pub last_step: i64,
    pub created_at: i64,
    /// When the factor was last used. Null if it was used only to confirm itself.
    pub last_used_at: Option<i64>,
    /// The id of a passkey, which its authenticator chose. It is unique.
    pub credential_id: Option<Vec<u8>>,
    /// The public key of a passkey in COSE (RFC 9052).
    pub public_key: Option<Vec<u8>>,
    /// The number of signatures that the authenticator reported last. A synced passkey has 0.
    pub sign_count: i64,
    /// Whether a passkey may be copied to other devices.
    pub backup_eligible: bool,
    /// Whether a passkey was backed up when it was last used.
    pub backed_up: bool,
    /// How a browser reaches the authenticator (WebAuthn §5.8.4), separated by commas.
    pub transports: String,
}

impl Model {
    /// A factor without the columns that only one kind has.
    pub fn new(id: Uuid, user_id: Uuid, (kind, name): (FactorKind, String), at: i64) -> Self {
        Self {
            id,
            user_id,
            kind,
            name,
            sealed: Vec::new(),
            last_step: 0,
            created_at: at,
            last_used_at: None,
            credential_id: None,
            public_key: None,
            sign_count: 0,
            backup_eligible: false,
            backed_up: false,
            transports: String::new(),
        }
    }
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
