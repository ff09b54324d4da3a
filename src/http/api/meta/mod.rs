//! Endpoints for clients and middleware: the captcha, the public keys, and the descriptions of the
//! API.

pub mod captcha;
pub mod discovery;
pub mod document;
pub mod jwks;
pub mod webauthn;
