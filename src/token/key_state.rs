//! [`KeyState`]: the state of a signing key, as the command line shows it.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is published and will sign later.
    Next,
    Signing,
    /// It verifies tokens and does not sign.
    Retired,
    /// Tokens that it signed are refused.
    Revoked,
}

impl KeyState {
    /// The word that the command line prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signing => "signing",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }
}
