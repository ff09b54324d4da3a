//! Encrypts the keys and secrets that are stored in the database. The encryption key of the signing
//! keys is derived from the master key.
//!
//! The cipher is AES-256-GCM. The identity of the row is the associated data. So an encrypted key
//! that is moved to another row cannot be decrypted. The output is 12 bytes of random nonce, then
//! the ciphertext and the tag. A random nonce is safe for this use, because there are only a few
//! hundred keys, and two equal nonces become likely only near 2^32 keys.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{KeyError, MasterKey, Secret, random_bytes};

fn cipher(key: &Secret<[u8; 32]>) -> Result<LessSafeKey, KeyError> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose())?))
}

/// Encrypts a signing key for the row that `context` identifies.
pub fn seal(
    master: &MasterKey,
    context: &str,
    plain: &Secret<Vec<u8>>,
) -> Result<Vec<u8>, KeyError> {
    seal_with(&master.derive("seal:signing-key"), context, plain)
}

/// Decrypts the output of [`seal`]. It returns an error if the master key or the context is another
/// one, or if a byte was changed.
pub fn open(master: &MasterKey, context: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, KeyError> {
    open_with(&master.derive("seal:signing-key"), context, sealed)
}

/// Encrypts `plain` with a key of its own purpose, for the row that `context` identifies.
pub fn seal_with(
    key: &Secret<[u8; 32]>,
    context: &str,
    plain: &Secret<Vec<u8>>,
) -> Result<Vec<u8>, KeyError> {
    let nonce = random_bytes::<NONCE_LEN>();
    let mut sealed = plain.expose().clone();
    cipher(key)?.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(context),
        &mut sealed,
    )?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Decrypts the output of [`seal_with`].
pub fn open_with(
    key: &Secret<[u8; 32]>,
    context: &str,
    sealed: &[u8],
) -> Result<Secret<Vec<u8>>, KeyError> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN).ok_or(KeyError)?;
    let mut buffer = ciphertext.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce)?;
    let length = cipher(key)?.open_in_place(nonce, Aad::from(context), &mut buffer)?.len();
    buffer.truncate(length);
    Ok(Secret::new(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_only_as_itself() {
        let master = MasterKey::new([1; 32]);
        let plain = Secret::new(b"private".to_vec());
        let sealed = seal(&master, "row a", &plain).unwrap();
        assert_eq!(open(&master, "row a", &sealed).unwrap().expose(), plain.expose());
        assert!(open(&master, "row b", &sealed).is_err());
        assert!(open(&MasterKey::new([2; 32]), "row a", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(open(&master, "row a", &broken).is_err(), "byte {at}");
        }
        assert!(open(&master, "row a", &sealed[..11]).is_err());
    }
}
