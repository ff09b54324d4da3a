//! [`CredentialResponse`]: what the browser sends back, in the JSON form of WebAuthn §5.1.8. The
//! bytes in it are not decoded yet.

use std::fmt;

use super::{ID_BYTES_MAX, ID_BYTES_MIN, Refused, decode};
use crate::strict_json::{self, Members, Value};

/// How a browser reaches an authenticator. The names are those of WebAuthn §5.8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Usb,
    Nfc,
    Ble,
    SmartCard,
    Hybrid,
    Internal,
}

impl Transport {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Usb, "usb"),
        (Self::Nfc, "nfc"),
        (Self::Ble, "ble"),
        (Self::SmartCard, "smart-card"),
        (Self::Hybrid, "hybrid"),
        (Self::Internal, "internal"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(it, _)| *it == self).map_or("", |(_, name)| name)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, it)| *it == name).map(|(it, _)| *it)
    }
}

/// The response of an authenticator: `RegistrationResponseJSON` or `AuthenticationResponseJSON`.
///
/// A member that is missing or has the wrong type is an empty text here, which no check accepts. So
/// a response is wrong in one way only.
#[derive(Clone, Default)]
pub struct CredentialResponse {
    pub(super) id: String,
    pub(super) raw_id: String,
    pub(super) kind: String,
    pub(super) client_data: String,
    pub(super) attestation_object: String,
    pub(super) authenticator_data: String,
    pub(super) signature: String,
    /// None if the authenticator sent no user handle.
    pub(super) user_handle: Option<String>,
    pub(super) transports: Vec<Transport>,
}

/// Prints no values, because a response opens a session.
impl fmt::Debug for CredentialResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialResponse(…)")
    }
}

impl CredentialResponse {
    /// Reads a response from its JSON, for example from the field of a form.
    pub fn parse(json: &str) -> Self {
        strict_json::object(json.as_bytes()).map(Self::read).unwrap_or_default()
    }

    /// Reads a response from the members of its JSON object.
    pub fn read(mut members: Members) -> Self {
        let mut response = match members.remove("response") {
            Some(Value::Object(response)) => response,
            _ => Members::new(),
        };
        let user_handle = match response.remove("userHandle") {
            None | Some(Value::Null) => None,
            other => Some(text(other)),
        };
        let transports = match response.remove("transports") {
            Some(Value::Texts(names)) => each_once(&names),
            _ => Vec::new(),
        };
        Self {
            id: text(members.remove("id")),
            raw_id: text(members.remove("rawId")),
            kind: text(members.remove("type")),
            client_data: text(response.remove("clientDataJSON")),
            attestation_object: text(response.remove("attestationObject")),
            authenticator_data: text(response.remove("authenticatorData")),
            signature: text(response.remove("signature")),
            user_handle,
            transports,
        }
    }

    /// The id of the passkey that the response names. None if there is none.
    pub fn credential_id(&self) -> Option<Vec<u8>> {
        self.checked_id().ok()
    }

    /// The id, if the response has the right type, and `id` and `rawId` are the same.
    pub(super) fn checked_id(&self) -> Result<Vec<u8>, Refused> {
        const BAD: Refused = Refused("credential id");
        if self.kind != "public-key" {
            return Err(Refused("credential type"));
        }
        let id = decode(&self.id, "credential id")?;
        let is_sized = (ID_BYTES_MIN..=ID_BYTES_MAX).contains(&id.len());
        if is_sized && self.id == self.raw_id { Ok(id) } else { Err(BAD) }
    }
}

/// The known transports among the names, in their order.
fn each_once(names: &[String]) -> Vec<Transport> {
    let mut found = Vec::new();
    for transport in names.iter().filter_map(|name| Transport::from_name(name)) {
        if !found.contains(&transport) {
            found.push(transport);
        }
    }
    found
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::Text(text)) => text,
        _ => String::new(),
    }
}
