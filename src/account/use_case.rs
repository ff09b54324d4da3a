//! The commands of an account worker.

use uuid::Uuid;

use super::recovery::NewPassword;
use super::{
    AccountOwner, Added, Asked, Confirmed, Deleted, FactorUndone, NewFactor, Registered,
    Registration, Removed, Reset, Undone, Verified,
};
use crate::actor::FlatReply;
use crate::audit::RequestOrigin;
use crate::clock::UnixMillis;
use crate::factor::Factor;
use crate::user::EmailAddress;

pub type Done<T> = FlatReply<T>;

/// A command for an account worker. A client waits for the reply of [`AccountCommand::Run`]. No
/// client waits for the other commands.
#[derive(Debug)]
pub enum AccountCommand {
    /// One use case of a client.
    Run(RequestOrigin, UseCase),
    /// Runs [`Accounts::replace_hash`](super::Accounts::replace_hash).
    ReplaceHash {
        user_id: Uuid,
        /// The hash that was verified.
        old_hash: String,
        /// The hash with the current parameters.
        new_hash: String,
    },
    /// Runs [`Accounts::collect_unverified`](super::Accounts::collect_unverified).
    CollectUnverified {
        /// Unverified accounts that were created before this time are deleted.
        before: UnixMillis,
    },
}

/// A use case with its arguments. The worker sends the result through the last argument.
#[derive(Debug)]
pub enum UseCase {
    Register(Registration, Done<Registered>),
    ResendConfirmation(Uuid, Done<Verified>),
    Verify(Uuid, Done<Verified>),
    Reject(Uuid, Done<Verified>),
    Recover(EmailAddress, Done<()>),
    SetPassword(NewPassword, Done<Reset>),
    AskEmailChange(AccountOwner, EmailAddress, Done<Asked>),
    ConfirmEmailChange(Uuid, Done<Confirmed>),
    UndoEmailChange(Uuid, Done<Undone>),
    RefuseEmailChange(Uuid, Done<Undone>),
    Rename(Uuid, String, Done<()>),
    Delete(AccountOwner, Done<Deleted>),
    AddFactor(AccountOwner, Box<NewFactor>, Done<Added>),
    /// Renames a factor of a user. The id is that of the factor.
    RenameFactor((AccountOwner, Uuid), String, Done<Option<Factor>>),
    /// Removes a factor of a user. The id is that of the factor.
    RemoveFactor((AccountOwner, Uuid), Done<Removed>),
    ReplaceRecoveryCodes(AccountOwner, Vec<String>, Done<bool>),
    SpendRecoveryCode(Uuid, String, Done<bool>),
    /// Records a step-up of this user with the name of its method.
    RecordStepUp(Uuid, &'static str, Done<()>),
    /// Records that a passkey of a user reported fewer signatures than before. The ids are those of
    /// the user and of the factor.
    RecordCounterFell((Uuid, Uuid), Done<()>),
    /// Undoes a first factor. The id is that of its row in `first_factors`.
    UndoFirstFactor(Uuid, Done<FactorUndone>),
}
