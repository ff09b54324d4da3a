//! latchkey.
pub mod actor;
pub mod clock;
pub mod config;
pub mod database;
pub mod problem;
pub mod secret;
pub mod telemetry;
pub mod token;
pub mod store;
