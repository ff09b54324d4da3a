//! Tests of second factors: authenticator apps, recovery codes, the second step of a login,
//! step-up, and the actions that need a fresh proof.

mod back_off;
mod callers;
mod cap;
mod challenges;
mod codes;
mod enrolment;
mod first_factor;
mod fresh;
mod gate;
mod limits;
mod mailed_links;
mod managing;
mod peers;
mod recovery_codes;
mod step_up;
mod trusted;

pub use callers::{Enrolled, challenge_of, enrolled, prove, texts};
