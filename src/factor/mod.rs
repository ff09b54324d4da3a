//! Second factors of accounts: authenticator apps with time-based codes (TOTP), passkeys, and
//! recovery codes for a user who has lost them.
//!
//! `totp.rs`, `recovery_code.rs` and `passkey/` contain the checks as pure functions. `table.rs`
//! and `passkey_table.rs` contain every statement on the rows. The use cases are in
//! [`crate::account`]. A login becomes a session only through [`crate::session::Sessions::enter`],
//! which knows whether the account has a factor.

pub mod passkey;
pub mod passkey_table;
pub mod recovery_code;
pub mod table;
pub mod totp;

pub use latchkey_entity::factor::{FactorKind, Model as Factor};

/// The maximum number of factors of one account.
pub const FACTORS_MAX: u64 = 10;

/// A method by which a user proves a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorMethod {
    /// A code of an authenticator app.
    Totp,
    /// A passkey.
    Passkey,
    RecoveryCode,
}

impl FactorMethod {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::RecoveryCode => "recovery-code",
        }
    }

    /// The method in `amr` (RFC 8176). RFC 8176 defines no value for recovery codes, so theirs is
    /// private to latchkey.
    pub const fn amr(self) -> &'static str {
        match self {
            Self::Totp => "otp",
            Self::Passkey => "pop",
            Self::RecoveryCode => "rc",
        }
    }
}

impl From<FactorKind> for FactorMethod {
    fn from(kind: FactorKind) -> Self {
        match kind {
            FactorKind::Totp => Self::Totp,
            FactorKind::Passkey => Self::Passkey,
        }
    }
}
