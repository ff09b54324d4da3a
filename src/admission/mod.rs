//! Admission: how often a client, a session, an account or a mailbox may ask for something.
//!
//! [`Admission::admit`] decides what a request asks for, by one round trip to the token store at most.
//! [`Admission::admit_attempt`] decides an attempt at a password, [`Admission::admit_invitation`] an invitation. What they refuse
//! has taken nothing. The limit of all requests of an address is asked of the [`limiter`] itself, before the route is known.
//!
//! - [`limiter`] limits client addresses, sessions and known devices, in this process. [`policies`] has its numbers, `table` its
//!   memory.
//! - [`budgets`] has the budgets that replicas share through the token store.
//! - [`attempts`] admits attempts at a password; [`back_off`] has the numbers, [`device`] reads the tokens of known
//!   devices.
//! - [`explain`] reports what holds now, for operators.
//! - `worker` removes what has expired.

mod admit;
pub mod attempts;
pub mod back_off;
pub mod budgets;
mod client;
pub mod device;
pub mod explain;
pub mod limiter;
pub mod policies;
mod table;
mod worker;

pub use crate::store::AttemptCaptcha;
pub use admit::{Admission, Ask, InvitationLimit};
pub use attempts::{AttemptClient, AttemptRefusal, CountedAttempt};
pub use client::{Client, KnownSession, Limited};
pub use limiter::{Decision, Headers, Limiter};
pub use policies::{Action, policy_names};
pub use worker::{AdmissionCommand, Worker};
