//! The cryptographic key: creation, parsing, signing and verifying.
//!
//! This module keeps parsed key pairs and parsed public keys in memory, because parsing takes a lot
//! of time. The crate jsonwebtoken parses DER for every signature. For RSA, parsing takes longer
//! than the signature itself. For Ed25519, it takes half as long as the signature. aws-lc parses a
//! public key for every verification if the key is not already parsed. So latchkey uses
//! jsonwebtoken only for names of algorithms, headers and JWKs.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey, RsaKeyPair, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters,
    EllipticCurveKeyType, Jwk, KeyAlgorithm, OctetKeyPairParameters, OctetKeyPairType,
    PublicKeyUse, RSAKeyParameters, RSAKeyType,
};

use crate::secret::{KeyError, Secret, random_bytes};

/// A parsed key.
#[derive(Debug)]
pub enum Material {
    /// HMAC-SHA-256.
    Hmac(Box<hmac::Key>),
    /// ECDSA on P-256 with SHA-256. The signature is r ‖ s (RFC 7518 §3.4).
    Ecdsa(EcdsaKeyPair, ParsedPublicKey),
    /// Ed25519 (RFC 8037).
    Ed25519(Ed25519KeyPair, ParsedPublicKey),
    /// RSA PKCS #1 v1.5 with SHA-256 and a key of 2048 bits.
    Rsa(RsaKeyPair, ParsedPublicKey),
}

/// The algorithm that parses public keys and verifies signatures.
type Verifying = &'static dyn VerificationAlgorithm;

const ES256: Verifying = &signature::ECDSA_P256_SHA256_FIXED;
const EDDSA: Verifying = &signature::ED25519;
const RS256: Verifying = &signature::RSA_PKCS1_2048_8192_SHA256;

/// Creates a private key. For HMAC the key is 32 random bytes. For the other algorithms it is in
/// the format PKCS #8. An RSA key takes a few hundred milliseconds.
pub fn generate(algorithm: Algorithm) -> Result<Secret<Vec<u8>>, KeyError> {
    let random = SystemRandom::new();
    let bytes = match algorithm {
        Algorithm::HS256 => random_bytes::<32>().to_vec(),
        Algorithm::ES256 => {
            EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &random)?
                .as_ref()
                .to_vec()
        }
        Algorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&random)?.as_ref().to_vec(),
        Algorithm::RS256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
            let der: Pkcs8V1Der<'_> = pair.as_der()?;
            der.as_ref().to_vec()
        }
        _ => return Err(KeyError),
    };
    Ok(Secret::new(bytes))
}

impl Material {
    /// Parses the output of [`generate`].
    pub fn parse(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        Ok(match algorithm {
            Algorithm::HS256 if bytes.len() >= 32 => {
                Self::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
            }
            Algorithm::ES256 => {
                let signing = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_pkcs8(signing, bytes)?;
                let public = ParsedPublicKey::new(ES256, pair.public_key())?;
                Self::Ecdsa(pair, public)
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8(bytes)?;
                let public = ParsedPublicKey::new(EDDSA, pair.public_key())?;
                Self::Ed25519(pair, public)
            }
            Algorithm::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(bytes)?;
                let public = ParsedPublicKey::new(RS256, pair.public_key())?;
                Self::Rsa(pair, public)
            }
            _ => return Err(KeyError),
        })
    }

    /// The value of `alg` (RFC 7518 §3.1, RFC 8037 §3.1).
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Hmac(_) => "HS256",
            Self::Ecdsa(..) => "ES256",
            Self::Ed25519(..) => "EdDSA",
            Self::Rsa(..) => "RS256",
        }
    }

    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        Ok(match self {
            Self::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
            Self::Ecdsa(pair, _) => pair.sign(&random, message)?.as_ref().to_vec(),
            Self::Ed25519(pair, _) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(pair, _) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out)?;
                out
            }
        })
    }

    /// Verifies that `signature` is the signature of this key over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        match self {
            Self::Hmac(key) => hmac::verify(key, message, signature)?,
            Self::Ecdsa(_, public) | Self::Ed25519(_, public) | Self::Rsa(_, public) => {
                public.verify_sig(message, signature)?;
            }
        }
        Ok(())
    }

    /// The public key as a JWK (RFC 7517). `None` for HMAC, whose key is secret.
    pub fn jwk(&self, kid: &str) -> Option<Jwk> {
        let (algorithm, parameters) = match self {
            Self::Hmac(_) => return None,
            Self::Ecdsa(pair, _) => {
                // The point is encoded as in SEC 1 §2.3.3: the byte 0x04, then x and y with 32
                // bytes each.
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..)?.split_at_checked(32)?;
                let key = EllipticCurveKeyParameters {
                    key_type: EllipticCurveKeyType::EC,
                    curve: EllipticCurve::P256,
                    x: base64url(x),
                    y: base64url(y),
                };
                (KeyAlgorithm::ES256, AlgorithmParameters::EllipticCurve(key))
            }
            Self::Ed25519(pair, _) => {
                let key = OctetKeyPairParameters {
                    key_type: OctetKeyPairType::OctetKeyPair,
                    curve: EllipticCurve::Ed25519,
                    x: base64url(pair.public_key().as_ref()),
                };
                (KeyAlgorithm::EdDSA, AlgorithmParameters::OctetKeyPair(key))
            }
            Self::Rsa(pair, _) => {
                let public = pair.public_key();
                let key = RSAKeyParameters {
                    key_type: RSAKeyType::RSA,
                    n: base64url(public.modulus().big_endian_without_leading_zero()),
                    e: base64url(public.exponent().big_endian_without_leading_zero()),
                };
                (KeyAlgorithm::RS256, AlgorithmParameters::RSA(key))
            }
        };
        Some(Jwk {
            common: CommonParameters {
                public_key_use: Some(PublicKeyUse::Signature),
                key_algorithm: Some(algorithm),
                key_id: Some(kid.to_owned()),
                ..CommonParameters::default()
            },
            algorithm: parameters,
        })
    }
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
#[path = "wycheproof_tests.rs"]
mod tests;
