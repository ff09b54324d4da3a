//! The two tokens: keys that sign them, and minting and verifying as pure functions.
//!
//! What lives here: JOSE and nothing else. Whether a session is alive is the token store's and the database's to say
//! (`session/`); what a role may do is `tenancy/`'s.

pub mod heads;
pub mod jwt;
pub mod keys;
mod material;
pub mod revocation;
pub mod rotation;
pub(crate) mod seal;
mod stored;
mod told;

pub use jwt::{Expiry, Invalid, UserClaims, VaultClaims};
pub use keys::{KeyRing, KeySet, KeysError, Kind};
pub use material::KeyError;
pub use stored::Needs;
