//! What clients and middleware read of us.

pub mod captcha;
pub mod discovery;
pub mod document;
pub mod jwks;
