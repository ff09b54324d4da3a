//! The authenticator data, which the passkey signs (WebAuthn §6.1).

use super::cbor::Item;
use super::{ID_BYTES_MAX, ID_BYTES_MIN, Refused, RelyingParty};
use crate::secret::sha256_of;

/// The flags (WebAuthn §6.1).
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

/// The ceremony to which the data belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceremony {
    /// The data contain the new passkey.
    Registration,
    Assertion,
}

/// Authenticator data of a user who was present and verified.
#[derive(Debug)]
pub struct AuthenticatorData<'a> {
    /// Whether the passkey may be copied to other devices. It never changes.
    pub backup_eligible: bool,
    /// Whether the passkey is backed up now.
    pub backed_up: bool,
    /// The number of signatures so far. A synced passkey always has 0.
    pub counter: u32,
    /// The new passkey. None in an assertion.
    pub attested: Option<Attested<'a>>,
}

/// A new passkey.
#[derive(Debug)]
pub struct Attested<'a> {
    pub credential_id: &'a [u8],
    /// The public key in COSE, as the authenticator wrote it.
    pub public_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    /// Reads authenticator data. All bytes must belong to a part that a flag announces.
    pub fn read(
        bytes: &'a [u8],
        ceremony: Ceremony,
        rp: RelyingParty<'_>,
    ) -> Result<Self, Refused> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(SHORT)?;
        if *rp_id_hash != sha256_of(rp.id.as_bytes()) {
            return Err(Refused("rp id"));
        }
        let (&flags, rest) = rest.split_first().ok_or(SHORT)?;
        let (counter, mut rest) = rest.split_first_chunk().ok_or(SHORT)?;
        let has = |flag: u8| flags & flag != 0;
        if !has(USER_PRESENT) {
            return Err(Refused("user presence"));
        }
        if !has(USER_VERIFIED) {
            return Err(Refused("user verification"));
        }
        if has(BACKED_UP) && !has(BACKUP_ELIGIBLE) {
            return Err(Refused("backup flags"));
        }
        if has(ATTESTED) != (ceremony == Ceremony::Registration) {
            return Err(Refused("attested credential"));
        }
        let mut attested = None;
        if has(ATTESTED) {
            let (read, after) = Attested::read(rest)?;
            (attested, rest) = (Some(read), after);
        }
        if has(EXTENSIONS) {
            let (extensions, after) = Item::read(rest)?;
            extensions.into_map()?;
            rest = after;
        }
        if !rest.is_empty() {
            return Err(Refused("bytes after authenticator data"));
        }
        Ok(Self {
            backup_eligible: has(BACKUP_ELIGIBLE),
            backed_up: has(BACKED_UP),
            counter: u32::from_be_bytes(*counter),
            attested,
        })
    }
}

const SHORT: Refused = Refused("short authenticator data");

impl<'a> Attested<'a> {
    /// Reads attested credential data (WebAuthn §6.5.1). Returns them with the bytes after them.
    fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Refused> {
        // The model of the authenticator is not used, because it is not attested.
        let (_, rest) = bytes.split_first_chunk::<16>().ok_or(SHORT)?;
        let (length, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if !(ID_BYTES_MIN..=ID_BYTES_MAX).contains(&length) {
            return Err(Refused("credential id"));
        }
        let (credential_id, rest) = rest.split_at_checked(length).ok_or(SHORT)?;
        let (_, after) = Item::read(rest)?;
        let public_key = &rest[..rest.len() - after.len()];
        Ok((Self { credential_id, public_key }, after))
    }
}
