//! Time-based one-time codes (RFC 6238): SHA-1, 6 digits, 30 seconds. These are the only parameters
//! that all authenticator apps support.

use totp_rs::{Builder, Totp};
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::secret::{KeyError, Secret, random_bytes, seal};
use crate::token::keys::FactorKeys;

/// The length of a secret. RFC 4226 §4 recommends 160 bits.
const SECRET_BYTES: usize = 20;
/// The shortest secret that an import accepts: 128 bits (RFC 4226 §4).
const SECRET_BYTES_MIN: usize = 16;
/// The longest secret that an import accepts.
const SECRET_BYTES_MAX: usize = 64;
/// A code of one time step before and of one after the current step is accepted (RFC 6238 §5.2).
const SKEW_STEPS: u16 = 1;

/// The secret that latchkey shares with an authenticator app.
#[derive(Clone, Debug)]
pub struct TotpSecret(Secret<Vec<u8>>);

impl TotpSecret {
    /// Creates a random secret.
    pub fn random() -> Self {
        Self(Secret::new(random_bytes::<SECRET_BYTES>().to_vec()))
    }

    /// Reads a secret in base32, with or without padding. `None` if the text is not base32, or if
    /// the secret is shorter than 128 bits or longer than 512 bits.
    pub fn from_base32(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('=').to_ascii_uppercase();
        let secret = totp_rs::Secret::try_from_base32(text).ok()?;
        let bytes = secret.as_bytes().to_vec();
        let is_sized = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len());
        is_sized.then(|| Self(Secret::new(bytes)))
    }

    /// The secret in base32 without padding.
    pub fn to_base32(&self) -> Secret<String> {
        Secret::new(totp_rs::Secret::from(self.0.expose().clone()).to_base32())
    }

    /// The URI that an authenticator app reads from a QR code. `issuer` names the installation.
    pub fn uri(&self, issuer: &str, address: &str) -> Secret<String> {
        Secret::new(self.totp(Some(issuer), address).to_url().unwrap_or_default())
    }

    /// Checks a code. Returns its time step (RFC 6238 §4.2) if the code is one of the current step
    /// or of a step beside it. Spaces in the code are ignored.
    ///
    /// The caller stores the step, so that no code is accepted twice.
    pub fn check(&self, code: &Secret<String>, now: UnixMillis) -> Option<i64> {
        let seconds = u64::try_from(now.div_euclid(1000)).ok()?;
        let digits: String = code.expose().chars().filter(|it| *it != ' ').collect();
        let digits = Secret::new(digits);
        if digits.expose().len() != 6 || !digits.expose().bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let step = self.totp(None, "").check(digits.expose(), seconds)?;
        i64::try_from(step).ok()
    }

    /// Encrypts the secret for the factor with this id.
    pub fn seal(&self, keys: &FactorKeys, factor: Uuid) -> Result<Vec<u8>, KeyError> {
        seal::seal_with(&keys.totp, &factor.to_string(), &self.0)
    }

    /// Decrypts the secret of a factor.
    pub fn open(keys: &FactorKeys, factor: Uuid, sealed: &[u8]) -> Result<Self, KeyError> {
        seal::open_with(&keys.totp, &factor.to_string(), sealed).map(Self)
    }

    fn totp(&self, issuer: Option<&str>, address: &str) -> Totp {
        Builder::new()
            .with_secret(self.0.expose().clone())
            .with_skew(SKEW_STEPS)
            .with_issuer(issuer)
            .with_account_name(address)
            .build_noncompliant()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    /// The secret of the test vectors in RFC 6238, appendix B.
    fn of_rfc() -> TotpSecret {
        TotpSecret(Secret::new(b"12345678901234567890".to_vec()))
    }

    #[test]
    fn the_vectors_of_rfc_6238_are_accepted_at_their_time() {
        // The last six digits of the eight-digit codes for SHA-1 in appendix B.
        for (seconds, text) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = of_rfc().check(&code(text), seconds * 1000);
            assert_eq!(step, Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_accepted_one_step_before_and_after_its_own() {
        let at = |seconds: i64| of_rfc().check(&code("287082"), seconds * 1000);
        // The code of 59 s belongs to the step from 30 s to 59 s.
        for (seconds, step) in [(0, Some(1)), (30, Some(1)), (89, Some(1)), (90, None)] {
            assert_eq!(at(seconds), step, "{seconds}");
        }
        assert_eq!(at(-1), None);
    }

    #[test]
    fn spaces_are_ignored_and_every_other_text_is_no_code() {
        let now = 59_000;
        assert_eq!(of_rfc().check(&code(" 287 082 "), now), Some(1));
        for bad in
            ["", "28708", "2870820", "287-082", "28708a", "+87082", "２８７０８２", "287\u{a0}082"]
        {
            assert_eq!(of_rfc().check(&code(bad), now), None, "{bad}");
        }
    }

    #[test]
    fn a_uri_names_issuer_and_address() {
        let uri = of_rfc().uri("latch key", "ada+x@example.com");
        assert_eq!(
            uri.expose(),
            "otpauth://totp/latch%20key:ada%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=latch%20key"
        );
    }

    #[test]
    fn a_secret_is_decrypted_only_for_its_factor() {
        let keys = FactorKeys::new(&Secret::new([1; 32]));
        let id = Uuid::from_u128(7);
        let sealed = of_rfc().seal(&keys, id).unwrap();
        let opened = TotpSecret::open(&keys, id, &sealed).unwrap();
        assert_eq!(opened.to_base32().expose(), of_rfc().to_base32().expose());
        assert!(TotpSecret::open(&keys, Uuid::from_u128(8), &sealed).is_err());
        let other = FactorKeys::new(&Secret::new([2; 32]));
        assert!(TotpSecret::open(&other, id, &sealed).is_err());
    }

    #[test]
    fn an_imported_secret_has_a_sane_length() {
        for bad in ["", "AAAA", "not base32!", &"A".repeat(24), &"A".repeat(200)] {
            assert!(TotpSecret::from_base32(bad).is_none(), "{bad}");
        }
        let lower = TotpSecret::from_base32("gezdgnbvgy3tqojqgezdgnbvgy3tqojq====").unwrap();
        assert_eq!(lower.to_base32().expose(), of_rfc().to_base32().expose());
    }

    proptest! {
        #[test]
        fn a_secret_survives_base32(bytes in prop::collection::vec(any::<u8>(), 16..=64)) {
            let secret = TotpSecret(Secret::new(bytes.clone()));
            let read = TotpSecret::from_base32(secret.to_base32().expose()).unwrap();
            prop_assert_eq!(read.0.expose(), &bytes);
        }
    }
}
