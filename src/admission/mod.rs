//! Admission: how often a client, a session, an account or a mailbox may ask for something.
//!
//! - [`limiter`] limits client addresses, sessions and known devices, in this process, by plain calls. [`policies`] has its
//!   numbers, `table` its memory.
//! - [`budgets`] defines what replicas share through the token store; [`Budgets`] (`shared.rs`) spends it.
//! - [`attempts`] admits attempts at a password; [`back_off`] has the numbers, [`device`] reads the tokens of known
//!   devices.
//! - [`explain`] reports what holds now, for operators.
//! - `worker` removes what has expired.

pub mod attempts;
pub mod back_off;
pub mod budgets;
mod client;
pub mod device;
pub mod explain;
pub mod limiter;
pub mod policies;
mod shared;
mod table;
mod worker;

pub use attempts::{AttemptCaptcha, AttemptClient, AttemptDecision, CountedAttempt};
pub use client::{Client, KnownSession, Limited};
pub use limiter::{Decision, Headers, Limiter};
pub use policies::{Action, policy_names};
pub use shared::{Budgets, InvitationLimit};
pub use worker::{AdmissionCommand, Worker};
