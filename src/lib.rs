//! latchkey.
pub mod clock;
pub mod config;
pub mod database;
pub mod mail;
pub mod problem;
pub mod secret;
pub mod store;
