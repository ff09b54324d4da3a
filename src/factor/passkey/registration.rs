//! The check of a registration (WebAuthn §7.1), which creates a passkey.

use super::authenticator_data::{Attested, AuthenticatorData, Ceremony};
use super::cbor::Item;
use super::public_key::PublicKey;
use super::responses::{CredentialResponse, Transport};
use super::{Challenge, Refused, RelyingParty, client_data, decode};

/// A passkey that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub credential_id: Vec<u8>,
    /// The public key in COSE, as the authenticator wrote it.
    pub public_key: Vec<u8>,
    pub counter: u32,
    /// Whether the passkey may be copied to other devices.
    pub backup_eligible: bool,
    pub backed_up: bool,
    pub transports: Vec<Transport>,
}

/// Checks the response of a registration that began with `challenge`.
pub fn check(
    response: &CredentialResponse,
    challenge: &Challenge,
    rp: RelyingParty<'_>,
) -> Result<Registered, Refused> {
    let id = response.checked_id()?;
    let client_data = decode(&response.client_data, "client data")?;
    client_data::check(&client_data, Ceremony::Registration, challenge, rp)?;
    let object = decode(&response.attestation_object, "attestation object")?;
    let mut object = Item::read_all(&object)?.into_map()?;
    // latchkey asks for no attestation. So it does not have to know the manufacturers' formats,
    // whose certificates would be the most complex input of all.
    if object.take(&Item::Text("fmt"))? != Item::Text("none")
        || !object.take(&Item::Text("attStmt"))?.into_map()?.is_empty()
    {
        return Err(Refused("attestation"));
    }
    let bytes = object.bytes(&Item::Text("authData"))?;
    let data = AuthenticatorData::read(bytes, Ceremony::Registration, rp)?;
    let Some(Attested { credential_id, public_key }) = data.attested else {
        return Err(Refused("attested credential"));
    };
    if credential_id != id {
        return Err(Refused("credential id"));
    }
    PublicKey::read(Item::read_all(public_key)?)?;
    Ok(Registered {
        credential_id: id,
        public_key: public_key.to_vec(),
        counter: data.counter,
        backup_eligible: data.backup_eligible,
        backed_up: data.backed_up,
        transports: response.transports.clone(),
    })
}
