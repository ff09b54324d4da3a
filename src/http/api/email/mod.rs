//! Proving, asking for and changing addresses.

pub mod change;
pub mod exist;
pub mod resend;
pub mod verify;
