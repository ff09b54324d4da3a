//! Passwords: forgotten, reset, changed.

pub mod change;
pub mod forgot;
pub mod reset;
