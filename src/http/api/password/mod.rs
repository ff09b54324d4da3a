//! Endpoints to recover and change passwords.

pub mod change;
pub mod forgot;
pub mod reset;
