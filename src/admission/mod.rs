//! Admission: limits on how often a client, a session or an account may request something, and on
//! how many mails an email address may receive.
//!
//! [`Admission::admit`] decides whether a request is allowed. It needs at most one round trip to
//! the token store. [`Admission::admit_attempt`] decides whether an attempt at a password is
//! allowed, and [`Admission::admit_invitation`] whether an invitation may be mailed. A refused
//! request takes nothing from a limit. One limit counts all requests of a client IP address. The
//! HTTP server checks this limit directly with the [`limiter`], before the route is known.
//!
//! - [`limiter`] limits client IP addresses, sessions and known devices. Its state is in the memory
//!   of this process. [`policies`] contains its numbers, and `table` contains its state.
//! - [`budgets`] contains the sizes and keys of the budgets that replicas share through the token
//!   store.
//! - [`attempts`] admits attempts at a password. [`back_off`] contains the numbers of the login
//!   back-off, and [`device`] issues and reads the tokens of known devices.
//! - `codes` admits attempts at a code of a second factor.
//! - [`explain`] reports the current state of the limits to operators.
//! - `worker` removes expired entries and cancels attempts.

mod admit;
pub mod attempts;
pub mod back_off;
pub mod budgets;
mod client;
mod codes;
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
pub use codes::{CodeCap, CountedCode, forget_codes};
pub use device::{Device, DeviceProof};
pub use limiter::{Decision, Headers, Limiter};
pub use policies::{Action, policy_names};
pub use worker::{AdmissionCommand, Worker};
