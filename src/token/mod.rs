//! The two kinds of tokens, userTokens and vaultTokens: the keys that sign them, and pure functions
//! that create and verify them.
//!
//! This module only checks whether a token is valid as a JWT. The module `session/` decides with
//! the token store and the database whether a session is active. The module `team/` decides what a
//! role may do.

mod factor_keys;
pub mod jwt;
mod key_events;
mod key_state;
pub mod keys;
mod material;
pub mod revocation;
pub mod rotation;
mod stored;

pub use jwt::{Expiry, Invalid, UserClaims, VaultClaims};
pub use key_state::KeyState;
pub use keys::{KeyRing, KeySet, KeysError, Kind};
pub use stored::KeyDependencies;
