//! The endpoints of the OAuth RFCs. They read forms and respond with the JSON that the RFCs define.

pub mod client;
pub mod introspect;
pub mod revoke;
pub mod token;
