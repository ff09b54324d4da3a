//! Known devices: the token of `X-Latchkey-Device`, which a successful log-in, change of password or reset returns and the
//! next request with a password sends.
//!
//! It opens nothing. It proves that this device has known the present password of the account. So its attempts are counted
//! apart, and anonymous clients cannot use them up.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::secret::{MasterKey, Secret, equal, hmac_sha256, random_bytes};

/// How long a device is known after its last log-in: 90 days.
const KNOWN_MS: i64 = 90 * 24 * 3_600_000;

/// The device's id, the person's id, the password's version, the end.
const CLAIMS_BYTES: usize = 16 + 16 + 4 + 8;
const TOKEN_BYTES: usize = CLAIMS_BYTES + 32;
/// Its length in base64url: what is longer or shorter is not looked at.
const TOKEN_CHARS: usize = (TOKEN_BYTES * 8).div_ceil(6);

/// A device that is known to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    id: [u8; 16],
    user_id: Uuid,
    password_version: i32,
}

impl Device {
    /// The name of its count of failures.
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.id)
    }

    /// Whether it is of this person, and of the password that is in force.
    pub fn knows(&self, user_id: Uuid, password_version: i32) -> bool {
        self.user_id == user_id && self.password_version == password_version
    }
}

/// Makes and reads the tokens of devices.
pub struct Devices {
    key: Secret<[u8; 32]>,
    /// Of the master key before, where there is one: its tokens are read and no longer made.
    previous: Option<Secret<[u8; 32]>>,
}

impl Devices {
    /// Under keys of their own, `"device"`; all replicas have the same.
    pub fn new(master: &MasterKey, previous: Option<&MasterKey>) -> Self {
        Self {
            key: master.derive("device"),
            previous: previous.map(|master| master.derive("device")),
        }
    }

    /// A token for a client that has just proved the password or the mailbox. A device that was known before keeps its id, and
    /// with it its limit and its count of failures, also under a new password.
    ///
    /// `address` is [`EmailAddress::normal`](crate::user::EmailAddress::normal): the token is worth nothing with
    /// another one.
    pub fn issue(
        &self,
        address: &str,
        (user_id, password_version): (Uuid, i32),
        known: Option<Device>,
        now: UnixMillis,
    ) -> String {
        let mut token = Vec::with_capacity(TOKEN_BYTES);
        token.extend(known.map_or_else(random_bytes::<16>, |device| device.id));
        token.extend(user_id.as_bytes());
        token.extend(password_version.to_be_bytes());
        token.extend(now.saturating_add(KNOWN_MS).to_be_bytes());
        token.extend(tag(&self.key, &token, address));
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The device of a token that we made for this address and that has not run out; none for everything else. Whether it
    /// is of the password in force is for [`Device::knows`] to say.
    pub fn read(&self, token: &[u8], address: &str, now: UnixMillis) -> Option<Device> {
        if token.len() != TOKEN_CHARS {
            return None;
        }
        let token: [u8; TOKEN_BYTES] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (claims, shown) = token.split_at(CLAIMS_BYTES);
        let ours = equal(&tag(&self.key, claims, address), shown);
        let before = self.previous.as_ref();
        let ours = ours | before.is_some_and(|key| equal(&tag(key, claims, address), shown));
        let (id, claims) = claims.split_first_chunk::<16>()?;
        let (user_id, claims) = claims.split_first_chunk::<16>()?;
        let (version, claims) = claims.split_first_chunk::<4>()?;
        let ends = i64::from_be_bytes(claims.try_into().ok()?);
        (ours && ends > now).then(|| Device {
            id: *id,
            user_id: Uuid::from_bytes(*user_id),
            password_version: i32::from_be_bytes(*version),
        })
    }
}

/// The claims have one length, so that no address can continue them.
fn tag(key: &Secret<[u8; 32]>, claims: &[u8], address: &str) -> [u8; 32] {
    hmac_sha256(key.expose(), &[claims, address.as_bytes()].concat())
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Devices(…)")
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
