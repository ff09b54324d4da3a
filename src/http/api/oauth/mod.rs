//! The endpoints of the OAuth RFCs: form-encoded in, the RFC's JSON out.

pub mod client;
pub mod introspect;
pub mod revoke;
pub mod token;
