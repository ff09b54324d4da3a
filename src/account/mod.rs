//! The use cases of accounts: registration, confirmation of the email address, login, recovery,
//! changes and deletion, and the operator's commands.
//!
//! [`AccountService`] holds the use cases that the pages and the API call. A use case that changes
//! rows runs as one transaction, together with its audit event and its mails. [`Accounts`] runs
//! these transactions on a worker. So a transaction runs to its end even if the client disconnects,
//! and the number of workers limits the load on the database.

mod attempt;
mod change;
mod codes;
mod factor_changes;
mod factor_login;
mod factor_undo;
mod factors;
mod leaving;
mod links;
mod login;
mod new_password;
pub mod operator;
mod owner;
mod passkey_login;
mod passkeys;
mod recovery;
mod register;
mod registration;
mod service;
pub mod transfer;
mod use_case;
mod worker;

pub use change::{Asked, Confirmed, Undone, sweep_email_changes};
pub use codes::{FactorCode, FactorProof};
pub use factor_changes::{Added, NewFactor, Removed};
pub use factor_login::{SecondStep, StepUp, TrustDevice};
pub use factor_undo::{FactorUndone, sweep_first_factors};
pub use factors::{ConfirmedFactor, Factors, NewTotp};
pub use leaving::Deleted;
pub use links::{Confirmation, ConfirmationPreview, RefusedLink, UndoPreview};
pub use login::{LoggedIn, ProvenUser};
pub use new_password::{ChangedPassword, RecoveryLink};
pub use owner::AccountOwner;
pub use passkeys::{Begun, NewPasskey};
pub use recovery::{NewPassword, Proof, Reset};
pub use register::{Registered, Registration, Verified};
pub use registration::{RegistrationForm, RegistrationRefusal};
pub use service::{AccountError, AccountService, WeakPassword};
pub use use_case::{AccountCommand, UseCase};
pub use worker::{AccountWorker, Accounts};
