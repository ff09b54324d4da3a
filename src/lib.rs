//! latchkey.
pub mod actor;
pub mod account;
pub mod captcha;
pub mod clock;
pub mod config;
pub mod database;
pub mod limits;
pub mod password;
pub mod http;
pub mod problem;
pub mod secret;
pub mod telemetry;
pub mod token;
pub mod mail;
pub mod problem;
pub mod secret;
pub mod store;
