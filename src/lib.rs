//! latchkey.
pub mod clock;
pub mod config;
pub mod database;
pub mod http;
pub mod problem;
pub mod secret;
