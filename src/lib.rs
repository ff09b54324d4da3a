//! latchkey.
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod database;
pub mod http;
pub mod problem;
pub mod secret;
