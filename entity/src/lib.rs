//! The database tables as SeaORM entities, without logic.
//!
//! Times are Unix milliseconds in `BIGINT` columns. So SQLite and PostgreSQL store the same values
//! in the same order, and the same SQL works for both. Ids are UUIDs of version 7.

pub mod audit_event;
pub mod audit_identity;
pub mod audit_key;
pub mod audit_stream;
pub mod email_change;
pub mod ended_session;
pub mod factor;
pub mod first_factor;
pub mod invitation;
pub mod membership;
pub mod outbox;
pub mod project;
pub mod project_key;
pub mod recovery_code;
pub mod revoked_token;
mod role;
pub mod signing_key;
pub mod store_probe;
pub mod team;
mod text_enum;
pub mod token_store;
pub mod user;
pub mod user_handle;

pub use role::Role;
