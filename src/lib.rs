//! latchkey.
pub mod account;
pub mod clock;
pub mod config;
pub mod database;
pub mod problem;
pub mod secret;
