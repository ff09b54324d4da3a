//! Limits: how often an address, a session, an account or a mailbox may ask for something.
//!
//! [`limiter`] judges by client address and by session, in this process, as a plain function ([`policies`] has its
//! numbers, `table` its memory). [`budgets`] defines what replicas share through the store, and what stands in while
//! the store is down. [`ladder`] slows whoever guesses a password, [`device`] knows who is no stranger, [`places`] bounds what
//! is under way at once.

pub mod budgets;
mod client;
pub mod device;
pub mod guesses;
pub mod ladder;
pub mod limiter;
pub mod places;
pub mod policies;
mod table;
mod worker;

pub use client::{Client, Limited};
pub use guesses::Guesser;
pub use limiter::{Decision, Headers, Limiter};
pub use places::{Place, Places, Refused};
pub use policies::{Action, policy_names};
pub use worker::{Budgets, Count, Message, Spend, Worker};
