//! Limits: how often an address, a session, an account or a mailbox may ask for something.
//!
//! [`limiter`] judges by client address and by session, in this process, as a plain function ([`policies`] has its
//! numbers, `table` its memory). [`budgets`] defines what replicas share through the store, and what stands in while
//! the store is down. [`back_off`] slows down attempts at a password, [`device`] reads the tokens of known devices, [`permits`]
//! bounds what is in progress at once.

pub mod attempts;
pub mod back_off;
pub mod budgets;
mod client;
pub mod device;
pub mod limiter;
pub mod permits;
pub mod policies;
mod table;
mod worker;

pub use attempts::AttemptClient;
pub use client::{Client, Limited};
pub use limiter::{Decision, Headers, Limiter};
pub use permits::{Place, Places, Refused};
pub use policies::{Action, policy_names};
pub use worker::{AdmissionCommand, Budgets, Count, Spend, Worker};
