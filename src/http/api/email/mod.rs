//! Endpoints for email addresses: verification, existence and change.

pub mod change;
pub mod exist;
pub mod resend;
pub mod verify;
