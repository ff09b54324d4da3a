//! Teams, memberships and projects: who may do what, where.

pub mod roles;
pub mod teams;

pub use roles::Role;
