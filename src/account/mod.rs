//! Accounts: registration, proof of the email address, login, recovery, changes and deletion; and what an operator does.
//!
//! [`AccountService`] holds the use cases, as pages and API call them. Those that change rows are one transaction each, with
//! the audit event and the mails: [`Accounts`] runs them on a worker, so that they end though the client has left, and so
//! that the load on the database stays bounded.

mod attempt;
mod change;
mod leaving;
mod links;
mod login;
mod new_password;
pub mod operator;
mod recovery;
mod register;
mod registration;
mod service;
pub mod transfer;
mod worker;

pub use change::{Asked, Confirmed, Undone};
pub use leaving::Deleted;
pub use links::{Confirmation, ConfirmationPreview, RefusedLink, UndoPreview};
pub use login::LoggedIn;
pub use new_password::ChangedPassword;
pub use recovery::{NewPassword, Proof, Reset};
pub use register::{Registered, Registration, Verified};
pub use registration::{RegistrationForm, RegistrationRefusal};
pub use service::{AccountError, AccountService, WeakPassword};
pub use worker::{AccountCommand, AccountWorker, Accounts, UseCase};
