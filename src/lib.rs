//! latchkey.
pub mod account;
pub mod captcha;
pub mod clock;
pub mod config;
pub mod database;
pub mod password;
pub mod problem;
pub mod secret;
