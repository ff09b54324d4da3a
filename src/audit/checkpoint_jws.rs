//! Signs and verifies the JWS of a checkpoint. It has the compact form, the `typ` `audit-head+jwt`
//! and the algorithm `EdDSA`. Only the audit uses its key.
//!
//! As with access tokens, the algorithm and the type are never read from the input. If the header
//! is not equal to the expected header byte for byte, the input is refused. [`super::checkpoint`]
//! describes the keys and why they are never deleted.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::secret::{KeyError, Secret};

const TYP: &str = "audit-head+jwt";

/// The encoded protected header of every JWS that the key `kid` signs.
fn header(kid: &str) -> String {
    let header = json!({ "alg": "EdDSA", "kid": kid, "typ": TYP });
    URL_SAFE_NO_PAD.encode(header.to_string())
}

/// Signs claims. The private key is derived from `seed`, and its name is `kid`.
///
/// # Errors
/// [`KeyError`] if the key cannot sign, or if the claims cannot be written as JSON.
pub fn sign<C: Serialize>(
    kid: &str,
    seed: &Secret<[u8; 32]>,
    claims: &C,
) -> Result<String, KeyError> {
    let payload = serde_json::to_vec(claims).map_err(|_| KeyError)?;
    let signed = format!("{}.{}", header(kid), URL_SAFE_NO_PAD.encode(payload));
    let signature = key_pair(seed)?.sign(signed.as_bytes());
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
}

/// Verifies a JWS and reads its claims. Returns None if none of the keys `kids` has signed it, or
/// if it is malformed. `seed_of` returns the seed of a key, or None if the key is lost.
pub fn open<'a, C: DeserializeOwned>(
    mut kids: impl Iterator<Item = &'a str>,
    seed_of: impl FnOnce(&str) -> Option<Secret<[u8; 32]>>,
    token: &str,
) -> Option<C> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (shown, payload) = signed.split_once('.')?;
    let seed = seed_of(kids.find(|kid| header(kid) == shown)?)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let pair = key_pair(&seed).ok()?;
    let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &signature).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The public key as a JWK (RFC 8037). A holder of this key can verify checkpoints but cannot sign
/// one.
pub fn public_key(kid: &str, seed: &Secret<[u8; 32]>) -> Result<Value, KeyError> {
    let x = URL_SAFE_NO_PAD.encode(key_pair(seed)?.public_key().as_ref());
    Ok(json!({ "use": "sig", "alg": "EdDSA", "kid": kid, "kty": "OKP", "crv": "Ed25519", "x": x }))
}

/// Derives the Ed25519 key pair from a seed (RFC 8032 §5.1.5).
fn key_pair(seed: &Secret<[u8; 32]>) -> Result<Ed25519KeyPair, KeyError> {
    Ok(Ed25519KeyPair::from_seed_unchecked(seed.expose())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_open_as_what_was_signed_and_as_nothing_else() {
        let seed = |byte| Secret::new([byte; 32]);
        let open = |token: &str| {
            open::<Value>(["a", "b"].into_iter(), |kid| (kid == "a").then(|| seed(1)), token)
        };
        let claims = json!({ "iss": "x" });
        let signed = sign("a", &seed(1), &claims).unwrap();
        assert_eq!(open(&signed), Some(claims.clone()));
        assert_eq!(open(&sign("a", &seed(2), &claims).unwrap()), None, "another key of that name");
        assert_eq!(open(&sign("b", &seed(1), &claims).unwrap()), None, "a lost key");
        assert_eq!(open(&sign("c", &seed(1), &claims).unwrap()), None, "no key of ours");
        let (head, rest) = signed.split_once('.').unwrap();
        let (payload, signature) = rest.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode(json!({ "iss": "y" }).to_string());
        assert_eq!(open(&format!("{head}.{other}.{signature}")), None);
        let none = json!({ "alg": "none", "kid": "a", "typ": TYP }).to_string();
        let none = URL_SAFE_NO_PAD.encode(none);
        assert_eq!(open(&format!("{none}.{payload}.{signature}")), None);
        assert_eq!(open(&format!("{head}.{payload}.")), None);
        assert_eq!(public_key("a", &seed(1)).unwrap()["crv"], "Ed25519");
    }
}
