//! A person's own account.

pub mod delete;
pub mod events;
pub mod register;
pub mod rename;
pub mod show;
