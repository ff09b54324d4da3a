//! Recovery codes: ten codes, each of which proves the second factor once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::secret::{Secret, hmac_sha256, random_bytes};
use crate::token::keys::FactorKeys;

/// The number of codes that a user gets at once.
pub const CODES: usize = 10;

/// The number of characters of a code. Each character holds 5 bits.
const CHARS: usize = 10;
/// Crockford's base32. It has no I, L, O and U, because readers confuse them with other characters.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code of 50 random bits.
#[derive(Clone, Debug)]
pub struct RecoveryCode(Secret<String>);

impl RecoveryCode {
    /// Creates a random code.
    pub fn random() -> Self {
        let bytes = random_bytes::<CHARS>();
        let chars = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Self(Secret::new(chars.collect()))
    }

    /// Reads a code as a user types it: in upper or lower case, with or without hyphens and spaces.
    /// `O` counts as 0, and `I` and `L` count as 1. `None` if the text is no code.
    pub fn parse(text: &Secret<String>) -> Option<Self> {
        let chars = text.expose().chars().filter(|it| !matches!(it, ' ' | '-'));
        let code: Option<String> = chars.map(normal).collect();
        let code = Secret::new(code?);
        (code.expose().len() == CHARS).then_some(Self(code))
    }

    /// The code as it is shown to the user: `XXXXX-XXXXX`.
    pub fn shown(&self) -> String {
        let (first, second) = self.0.expose().split_at(CHARS / 2);
        format!("{first}-{second}")
    }

    /// The value in the table. A copy of the database alone does not allow a search for the code,
    /// because the key of the HMAC is encrypted in the database.
    pub fn digest(&self, keys: &FactorKeys, user: Uuid) -> String {
        let message = [user.as_bytes().as_slice(), self.0.expose().as_bytes()].concat();
        URL_SAFE_NO_PAD.encode(hmac_sha256(keys.recovery_codes.expose(), &message))
    }
}

/// The character of the alphabet for a typed character.
fn normal(typed: char) -> Option<char> {
    let upper = match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.contains(&u8::try_from(upper).ok()?).then_some(upper)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Option<String> {
        RecoveryCode::parse(&Secret::new(text.to_owned())).map(|code| code.shown())
    }

    #[test]
    fn a_code_is_read_as_users_type_it() {
        for typed in ["01abc-defgh", " 01ABC DEFGH", "oIaBc--defgh", "0LABCDEFGH"] {
            assert_eq!(parse(typed).as_deref(), Some("01ABC-DEFGH"), "{typed}");
        }
        for bad in ["", "01ABC-DEFG", "01ABC-DEFGHJ", "01ABC-DEFGU", "01ABC_DEFGH", "０1ABC-DEFGH"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_digest_belongs_to_a_user_and_a_key() {
        let keys = FactorKeys::new(&Secret::new([1; 32]));
        let other = FactorKeys::new(&Secret::new([2; 32]));
        let (code, user) = (RecoveryCode::random(), Uuid::from_u128(7));
        let digest = code.digest(&keys, user);
        assert_eq!(digest.len(), 43);
        assert_eq!(digest, code.clone().digest(&keys, user));
        assert_ne!(digest, code.digest(&keys, Uuid::from_u128(8)));
        assert_ne!(digest, code.digest(&other, user));
        assert_ne!(digest, RecoveryCode::random().digest(&keys, user));
    }

    proptest! {
        #[test]
        fn every_code_is_read_as_it_is_shown(_ in 0..64_u8) {
            let code = RecoveryCode::random();
            prop_assert_eq!(parse(&code.shown()), Some(code.shown()));
            prop_assert_eq!(parse(&code.shown().to_lowercase()), Some(code.shown()));
        }
    }
}
