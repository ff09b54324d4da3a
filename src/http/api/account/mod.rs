//! Endpoints of the user's own account.

pub mod delete;
pub mod events;
pub mod register;
pub mod rename;
pub mod show;
