//! [`KeyState`]: what a signing key does, as an operator sees it.

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is published, and will sign.
    Next,
    /// It signs.
    Signing,
    /// It only verifies.
    Retired,
    /// Its tokens are refused.
    Revoked,
}

impl KeyState {
    /// As the command line prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signing => "signing",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }
}
