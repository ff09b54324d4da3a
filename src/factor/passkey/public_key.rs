//! The public key of a passkey (COSE, RFC 9052 and RFC 9053), and the check of its signatures.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

use curve25519_dalek::edwards::CompressedEdwardsY;

use super::Refused;
use super::cbor::{Item, Map};

/// The labels of COSE keys (RFC 9052 §7.1, RFC 9053 §7, RFC 8230 §4).
const KTY: Item<'static> = Item::Integer(1);
const ALG: Item<'static> = Item::Integer(3);
const CRV: Item<'static> = Item::Integer(-1);
const X: Item<'static> = Item::Integer(-2);
const Y: Item<'static> = Item::Integer(-3);
const RSA_N: Item<'static> = Item::Integer(-1);
const RSA_E: Item<'static> = Item::Integer(-2);

const OKP: i64 = 1;
const EC2: i64 = 2;
const RSA: i64 = 3;
const P256: i64 = 1;
const CURVE_ED25519: i64 = 6;

/// The size of an RSA modulus in bytes. Longer keys would make each login expensive.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// A signature algorithm that passkeys may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256. Every authenticator has it.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256. TPMs of Windows computers have only this one.
    Rs256,
}

impl Algorithm {
    /// All algorithms, the preferred one first.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// The identifier of the algorithm in COSE.
    pub const fn cose(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
            Self::Rs256 => -257,
        }
    }
}

/// A public key.
#[derive(Clone, Debug)]
pub enum PublicKey<'a> {
    /// The uncompressed point.
    Es256([u8; 65]),
    EdDsa(&'a [u8]),
    Rs256(RsaPublicKeyComponents<&'a [u8]>),
}

impl<'a> PublicKey<'a> {
    /// Reads a key. A key that has another parameter than its type needs is refused.
    pub fn read(item: Item<'a>) -> Result<Self, Refused> {
        let mut map = item.into_map()?;
        let (kty, alg) = (map.integer(&KTY)?, map.integer(&ALG)?);
        let algorithm = Algorithm::ALL.into_iter().find(|it| it.cose() == alg);
        let key = match (algorithm.ok_or(Refused("algorithm"))?, kty) {
            (Algorithm::Es256, EC2) => Self::es256(&mut map)?,
            (Algorithm::EdDsa, OKP) => Self::ed_dsa(&mut map)?,
            (Algorithm::Rs256, RSA) => Self::rs256(&mut map)?,
            _ => return Err(Refused("key type")),
        };
        if map.is_empty() { Ok(key) } else { Err(Refused("key parameters")) }
    }

    fn es256(map: &mut Map<'a>) -> Result<Self, Refused> {
        let (curve, x, y) = (map.integer(&CRV)?, map.bytes(&X)?, map.bytes(&Y)?);
        if curve != P256 || x.len() != 32 || y.len() != 32 {
            return Err(Refused("curve"));
        }
        let mut point = [4; 65];
        point[1..33].copy_from_slice(x);
        point[33..].copy_from_slice(y);
        // This refuses a point that is not on the curve.
        match ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point) {
            Ok(_) => Ok(Self::Es256(point)),
            Err(_) => Err(Refused("point")),
        }
    }

    fn ed_dsa(map: &mut Map<'a>) -> Result<Self, Refused> {
        let (curve, x) = (map.integer(&CRV)?, map.bytes(&X)?);
        let point = CompressedEdwardsY::from_slice(x).map_err(|_| Refused("curve"))?;
        if curve != CURVE_ED25519 {
            return Err(Refused("curve"));
        }
        // A signature for a point of small order needs no private key. The same point must not have
        // two spellings.
        match point.decompress() {
            Some(it) if !it.is_small_order() && it.compress() == point => Ok(Self::EdDsa(x)),
            _ => Err(Refused("point")),
        }
    }

    fn rs256(map: &mut Map<'a>) -> Result<Self, Refused> {
        let (n, e) = (map.bytes(&RSA_N)?, map.bytes(&RSA_E)?);
        // A modulus whose first bit is 0 is shorter than it looks. An even modulus or exponent is
        // no key.
        let is_full = n.first().is_some_and(|first| first & 0x80 != 0);
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        let is_exponent = (1..=4).contains(&e.len()) && e != [1] && e.first() != Some(&0);
        if !RSA_BYTES.contains(&n.len()) || !is_full || !is_odd(n) || !is_odd(e) || !is_exponent {
            return Err(Refused("rsa key"));
        }
        Ok(Self::Rs256(RsaPublicKeyComponents { n, e }))
    }

    /// Checks a signature.
    pub fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let checked = match self {
            Self::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::EdDsa(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Self::Rs256(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        };
        checked.map_err(|_| Refused("signature"))
    }
}
