//! The check of an assertion (WebAuthn §7.2), which proves that the user has a passkey.

use super::authenticator_data::{AuthenticatorData, Ceremony};
use super::cbor::Item;
use super::public_key::PublicKey;
use super::responses::CredentialResponse;
use super::{Challenge, Refused, RelyingParty, client_data, decode};
use crate::secret::sha256_of;

/// A passkey of an account, as the database has it.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    pub credential_id: &'a [u8],
    pub public_key: &'a [u8],
    pub backup_eligible: bool,
    /// The user handle of the account.
    pub user_handle: &'a [u8],
}

/// A right assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assertion {
    pub counter: u32,
    pub backed_up: bool,
}

/// Checks an assertion of a passkey. `needs_handle` says that only the user handle tells whose
/// passkey it is, so it must be there.
pub fn check(
    response: &CredentialResponse,
    challenge: &Challenge,
    stored: Stored<'_>,
    needs_handle: bool,
    rp: RelyingParty<'_>,
) -> Result<Assertion, Refused> {
    if response.checked_id()? != stored.credential_id {
        return Err(Refused("credential id"));
    }
    match &response.user_handle {
        Some(handle) if decode(handle, "user handle")? == stored.user_handle => {}
        None if !needs_handle => {}
        _ => return Err(Refused("user handle")),
    }
    let client_data = decode(&response.client_data, "client data")?;
    client_data::check(&client_data, Ceremony::Assertion, challenge, rp)?;
    let bytes = decode(&response.authenticator_data, "authenticator data")?;
    let data = AuthenticatorData::read(&bytes, Ceremony::Assertion, rp)?;
    if data.backup_eligible != stored.backup_eligible {
        return Err(Refused("changed backup flag"));
    }
    let key = PublicKey::read(Item::read_all(stored.public_key)?)?;
    let signature = decode(&response.signature, "signature")?;
    let signed = [bytes.as_slice(), &sha256_of(&client_data)].concat();
    key.check(&signed, &signature)?;
    Ok(Assertion { counter: data.counter, backed_up: data.backed_up })
}
