//! Known devices and their tokens. The response to a successful login, password change or password
//! reset contains the token in the header `X-Latchkey-Device`. The client sends the token with its
//! next request that contains a password.
//!
//! The token grants no access. It proves that this device has already sent the current password of
//! the account. So the attempts of this device are counted separately, and anonymous clients cannot
//! use them up.
//!
//! The token also says whether the user has proven a second factor on this device. Only such a
//! device is exempt from the cap on wrong codes, because a client with the password gets a device
//! token as long as the account has no factor. A device can also be trusted. Then a login on this
//! device needs no second factor for some time.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::secret::{MasterKey, Secret, equal, hmac_sha256, random_bytes};

/// How long a device stays known after its last login: 90 days.
const KNOWN_MS: i64 = 90 * 24 * 3_600_000;

/// The length of the device's id, the user's id, the password's version, the expiry time, and the
/// proof (the time of the trust, the session epoch and the version of the factors) together.
const CLAIMS_BYTES: usize = 16 + 16 + 4 + 8 + (8 + 4 + 4);
const TOKEN_BYTES: usize = CLAIMS_BYTES + 32;
/// The token's length in base64url. A token of any other length is refused before it is decoded.
const TOKEN_CHARS: usize = (TOKEN_BYTES * 8).div_ceil(6);

/// The bytes of a token of a device that is not trusted.
const NO_TRUST: UnixMillis = UnixMillis::MIN;
/// The version of the factors of an account that never had one.
const NO_FACTORS: i32 = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    id: [u8; 16],
    user_id: Uuid,
    password_version: i32,
    proof: Option<DeviceProof>,
}

/// The proof of a second factor on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceProof {
    /// The time of the proof if the user trusts the device. The trust belongs to one state of the
    /// account, so it ends with every change of the factors, and when all sessions of the account
    /// end.
    pub trusted_since: Option<UnixMillis>,
    /// The epoch of the user's sessions at this time.
    pub session_epoch: i32,
    /// The version of the user's factors at this time.
    pub factor_version: i32,
}

impl Device {
    /// A device with this id that has sent the current password of an account. The caller has read
    /// its token before.
    pub fn known(
        id: &str,
        (user_id, password_version): (Uuid, i32),
        proof: Option<DeviceProof>,
    ) -> Option<Self> {
        let id = URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()?;
        Some(Self { id, user_id, password_version, proof })
    }

    /// The id under which the device's failures are counted.
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.id)
    }

    /// The last proof of a second factor on the device. Its trust has perhaps ended.
    pub fn proof(&self) -> Option<DeviceProof> {
        self.proof
    }

    /// Whether the device belongs to this user and has sent the current password before.
    pub fn knows(&self, user_id: Uuid, password_version: i32) -> bool {
        self.user_id == user_id && self.password_version == password_version
    }
}

/// Issues and reads the tokens of devices.
pub struct Devices {
    key: Secret<[u8; 32]>,
    /// The key from the previous master key, if there is one. Tokens with this key are accepted,
    /// but no new tokens are issued with it.
    previous: Option<Secret<[u8; 32]>>,
}

impl Devices {
    /// Derives the key for `"device"` from each master key. All replicas derive the same keys.
    pub fn new(master: &MasterKey, previous: Option<&MasterKey>) -> Self {
        Self {
            key: master.derive("device"),
            previous: previous.map(|master| master.derive("device")),
        }
    }

    /// Issues a token for a client that has just sent the right password, or a valid token from a
    /// mail to the user. A device that was known before keeps its id. So it keeps its limit and its
    /// count of failures, even if the password is new. `proof` is a new proof of a second factor.
    /// Without it, the device keeps its last one. A new password ends the trust in it, because it
    /// raises the session epoch.
    ///
    /// `address` is [`EmailAddress::normal`](crate::user::EmailAddress::normal). The token is
    /// invalid for any other email address.
    pub fn issue(
        &self,
        address: &str,
        (user_id, password_version): (Uuid, i32),
        (known, proof): (Option<Device>, Option<DeviceProof>),
        now: UnixMillis,
    ) -> String {
        let mut token = Vec::with_capacity(TOKEN_BYTES);
        token.extend(known.map_or_else(random_bytes::<16>, |device| device.id));
        token.extend(user_id.as_bytes());
        token.extend(password_version.to_be_bytes());
        token.extend(now.saturating_add(KNOWN_MS).to_be_bytes());
        let (since, epoch, factors) = match proof.or(known.and_then(|device| device.proof)) {
            Some(DeviceProof { trusted_since, session_epoch, factor_version }) => {
                (trusted_since.unwrap_or(NO_TRUST), session_epoch, factor_version)
            }
            None => (NO_TRUST, 0, NO_FACTORS),
        };
        token.extend(since.to_be_bytes());
        token.extend(epoch.to_be_bytes());
        token.extend(factors.to_be_bytes());
        token.extend(tag(&self.key, &token, address));
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Returns the device of a token that was issued for this email address and has not expired.
    /// Returns None for every other input. [`Device::knows`] then checks whether the device has
    /// sent the current password.
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
        let (ends, claims) = claims.split_first_chunk::<8>()?;
        let (since, claims) = claims.split_first_chunk::<8>()?;
        let (epoch, factors) = claims.split_first_chunk::<4>()?;
        let since = i64::from_be_bytes(*since);
        let proof = DeviceProof {
            trusted_since: (since != NO_TRUST).then_some(since),
            session_epoch: i32::from_be_bytes(*epoch),
            factor_version: i32::from_be_bytes(factors.try_into().ok()?),
        };
        (ours && i64::from_be_bytes(*ends) > now).then(|| Device {
            id: *id,
            user_id: Uuid::from_bytes(*user_id),
            password_version: i32::from_be_bytes(*version),
            proof: (proof.factor_version != NO_FACTORS).then_some(proof),
        })
    }
}

/// The claims always have the same length, so no part of the email address can be taken for a part
/// of the claims.
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
