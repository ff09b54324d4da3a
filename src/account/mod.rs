//! Accounts: registration, proof of the email address, recovery, changes and deletion; and what an operator does to accounts.
//!
//! Each use case is one transaction with its audit event and its mails. [`Accounts`] is the handle that callers use: a worker
//! runs the use case, so that it ends though the client has left, and so that the load on the database stays bounded.

mod change;
mod leaving;
pub mod operator;
mod recovery;
mod register;
pub mod transfer;
mod worker;

pub use change::{Asked, Confirmed, Undone};
pub use leaving::Deleted;
pub use recovery::{NewPassword, Proof, Reset};
pub use register::{Registered, Registration, Verified};
pub use worker::{AccountCommand, AccountWorker, Accounts, UseCase};
