//! Admission: limits on how often a client, a session, an account or a mailbox may request
//! something.
//!
//! [`Admission::admit`] decides about a request. It takes at most one round trip to the token
//! store. [`Admission::admit_attempt`] decides about an attempt at a password, and
//! [`Admission::admit_invitation`] about an invitation. A request that is refused takes nothing
//! from a limit. The limit on all requests of an address is checked with the [`limiter`] directly,
//! before the route is known.
//!
//! - [`limiter`] limits client addresses, sessions and known devices, in the memory of this
//!   process. [`policies`] has its numbers, `table` its memory.
//! - [`budgets`] has the budgets that replicas share through the token store.
//! - [`attempts`] admits attempts at a password. [`back_off`] has the numbers, and [`device`] reads
//!   the tokens of known devices.
//! - [`explain`] reports the current state of the limits to operators.
//! - `worker` removes entries that have expired.

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
