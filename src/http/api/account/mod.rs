//! A person's own account.

pub mod delete;
pub mod register;
pub mod rename;
pub mod show;
