//! [`KeyState`]: the state of a signing key, as the command line shows it.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// The key is published and will sign later.
    Next,
    Signing,
    /// The key no longer signs, but its tokens are still accepted.
    Retired,
    /// The key is compromised. Tokens that it signed are refused.
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
