//! The two tokens: keys that sign them, and minting and verifying as pure functions.
//!
//! What lives here: JOSE and nothing else. Whether a session is alive is the token store's and the database's to say
//! (`session/`); what a role may do is `team/`'s.

pub mod jwt;
mod key_events;
pub mod keys;
mod material;
pub mod revocation;
pub mod rotation;
mod stored;

pub use jwt::{Expiry, Invalid, UserClaims, VaultClaims};
pub use keys::{KeyRing, KeySet, KeysError, Kind};
pub use stored::KeyDependencies;
