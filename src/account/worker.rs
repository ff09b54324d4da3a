//! [`Accounts`] is the handle of the account workers. [`AccountWorker`] runs the commands.

use sea_orm::DbErr;
use tokio::time::Instant;
use uuid::Uuid;

use super::recovery::NewPassword;
use super::register::Resent;
use super::use_case::{AccountCommand, Done, UseCase};
use super::{
    AccountOwner, Added, Asked, Confirmed, Deleted, FactorUndone, NewFactor, Registered,
    Registration, Removed, Reset, Undone, Verified, change, factor_changes, factor_undo, leaving,
    recovery, register,
};
use crate::actor::{Pool, Worker, WorkerError};
use crate::audit::{Chain, ChangeContext, RequestOrigin};
use crate::clock::{Clock, UnixMillis};
use crate::database::Db;
use crate::factor::Factor;
use crate::problem::Unavailable;
use crate::store::{Store, TokenKind};
use crate::user::{EmailAddress, table};

/// The handle of the account workers. Each call returns [`Unavailable`] if the workers are busy, if
/// a dependency fails, or if the deadline of the request passes before the result is there.
#[derive(Clone, Debug)]
pub struct Accounts(Pool<AccountCommand>);

impl Accounts {
    pub fn new(pool: Pool<AccountCommand>) -> Self {
        Self(pool)
    }

    /// The worker pool, for the shutdown of the daemon and for metrics.
    pub fn pool(&self) -> &Pool<AccountCommand> {
        &self.0
    }

    async fn run<T: Send + 'static>(
        &self,
        (deadline, origin): (Instant, RequestOrigin),
        use_case: impl FnOnce(Done<T>) -> UseCase,
    ) -> Result<T, Unavailable> {
        self.0.ask(deadline, |reply| AccountCommand::Run(origin, use_case(reply))).await
    }

    /// Creates an account, and the mail with the link that confirms its email address.
    pub async fn register(
        &self,
        call: (Instant, RequestOrigin),
        registration: Registration,
    ) -> Result<Registered, Unavailable> {
        self.run(call, |reply| UseCase::Register(registration, reply)).await
    }

    /// Mails the link that confirms the email address again. The link in the last mail becomes
    /// invalid.
    pub async fn resend_confirmation(
        &self,
        call: (Instant, RequestOrigin),
        user_id: Uuid,
    ) -> Result<Verified, Unavailable> {
        self.run(call, |reply| UseCase::ResendConfirmation(user_id, reply)).await
    }

    /// Marks the email address as proven. The caller has checked the mailed token.
    pub async fn verify(
        &self,
        call: (Instant, RequestOrigin),
        user_id: Uuid,
    ) -> Result<Verified, Unavailable> {
        self.run(call, |reply| UseCase::Verify(user_id, reply)).await
    }

    /// Deletes an account that was registered with the email address of another person.
    pub async fn reject(
        &self,
        call: (Instant, RequestOrigin),
        user_id: Uuid,
    ) -> Result<Verified, Unavailable> {
        self.run(call, |reply| UseCase::Reject(user_id, reply)).await
    }

    /// Mails a recovery link if the email address has an account. Takes the same time if the
    /// address has no account.
    pub async fn recover(
        &self,
        call: (Instant, RequestOrigin),
        email: EmailAddress,
    ) -> Result<(), Unavailable> {
        self.run(call, |reply| UseCase::Recover(email, reply)).await
    }

    pub async fn set_password(
        &self,
        call: (Instant, RequestOrigin),
        password: NewPassword,
    ) -> Result<Reset, Unavailable> {
        self.run(call, |reply| UseCase::SetPassword(password, reply)).await
    }

    /// Mails the link that confirms a new email address.
    pub async fn ask_email_change(
        &self,
        call: (Instant, RequestOrigin),
        owner: AccountOwner,
        email: EmailAddress,
    ) -> Result<Asked, Unavailable> {
        self.run(call, |reply| UseCase::AskEmailChange(owner, email, reply)).await
    }

    /// Applies a change of email address. The caller has checked the mailed token.
    pub async fn confirm_email_change(
        &self,
        call: (Instant, RequestOrigin),
        change_id: Uuid,
    ) -> Result<Confirmed, Unavailable> {
        self.run(call, |reply| UseCase::ConfirmEmailChange(change_id, reply)).await
    }

    /// Undoes a change of email address, even if the change was confirmed.
    pub async fn undo_email_change(
        &self,
        call: (Instant, RequestOrigin),
        change_id: Uuid,
    ) -> Result<Undone, Unavailable> {
        self.run(call, |reply| UseCase::UndoEmailChange(change_id, reply)).await
    }

    /// Refuses a change to an email address that belongs to another person.
    pub async fn refuse_email_change(
        &self,
        call: (Instant, RequestOrigin),
        change_id: Uuid,
    ) -> Result<Undone, Unavailable> {
        self.run(call, |reply| UseCase::RefuseEmailChange(change_id, reply)).await
    }

    pub async fn rename(
        &self,
        call: (Instant, RequestOrigin),
        user_id: Uuid,
        name: String,
    ) -> Result<(), Unavailable> {
        self.run(call, |reply| UseCase::Rename(user_id, name, reply)).await
    }

    /// Deletes an account, and the teams of the user that have no other member.
    pub async fn delete(
        &self,
        call: (Instant, RequestOrigin),
        owner: AccountOwner,
    ) -> Result<Deleted, Unavailable> {
        self.run(call, |reply| UseCase::Delete(owner, reply)).await
    }

    pub async fn add_factor(
        &self,
        call: (Instant, RequestOrigin),
        owner: AccountOwner,
        new: NewFactor,
    ) -> Result<Added, Unavailable> {
        self.run(call, |reply| UseCase::AddFactor(owner, Box::new(new), reply)).await
    }

    /// Renames a factor. Returns none if the user has no such factor.
    pub async fn rename_factor(
        &self,
        call: (Instant, RequestOrigin),
        of: (AccountOwner, Uuid),
        name: String,
    ) -> Result<Option<Factor>, Unavailable> {
        self.run(call, |reply| UseCase::RenameFactor(of, name, reply)).await
    }

    pub async fn remove_factor(
        &self,
        call: (Instant, RequestOrigin),
        of: (AccountOwner, Uuid),
    ) -> Result<Removed, Unavailable> {
        self.run(call, |reply| UseCase::RemoveFactor(of, reply)).await
    }

    /// Replaces the recovery codes. Returns false if the account has no factor.
    pub async fn replace_recovery_codes(
        &self,
        call: (Instant, RequestOrigin),
        owner: AccountOwner,
        digests: Vec<String>,
    ) -> Result<bool, Unavailable> {
        self.run(call, |reply| UseCase::ReplaceRecoveryCodes(owner, digests, reply)).await
    }

    pub async fn record_step_up(
        &self,
        call: (Instant, RequestOrigin),
        user_id: Uuid,
        method: &'static str,
    ) -> Result<(), Unavailable> {
        self.run(call, |reply| UseCase::RecordStepUp(user_id, method, reply)).await
    }

    /// Records that a passkey reported fewer signatures than before. The ids are those of the user
    /// and of the factor.
    pub async fn record_counter_fell(
        &self,
        call: (Instant, RequestOrigin),
        of: (Uuid, Uuid),
    ) -> Result<(), Unavailable> {
        self.run(call, |reply| UseCase::RecordCounterFell(of, reply)).await
    }

    /// Uses up a recovery code. Returns false if the code is wrong or was used before.
    pub async fn spend_recovery_code(
        &self,
        call: (Instant, RequestOrigin),
        user_id: Uuid,
        digest: String,
    ) -> Result<bool, Unavailable> {
        self.run(call, |reply| UseCase::SpendRecoveryCode(user_id, digest, reply)).await
    }

    /// Removes the first factor of an account and the factors that were added later. Ends every
    /// session, and makes the password invalid.
    pub async fn undo_first_factor(
        &self,
        call: (Instant, RequestOrigin),
        id: Uuid,
    ) -> Result<FactorUndone, Unavailable> {
        self.run(call, |reply| UseCase::UndoFirstFactor(id, reply)).await
    }

    /// Replaces a password hash by a hash with the current parameters, unless the password has
    /// changed. Does not wait for the result. If the replacement fails, the next login of the user
    /// repeats it.
    pub fn replace_hash(&self, user_id: Uuid, old_hash: String, new_hash: String) {
        let _ = self.0.nudge(AccountCommand::ReplaceHash { user_id, old_hash, new_hash });
    }

    /// Deletes the accounts that were created before the time `before` and never verified. Does not
    /// wait for the result.
    pub fn collect_unverified(&self, before: UnixMillis) {
        let _ = self.0.nudge(AccountCommand::CollectUnverified { before });
    }
}

/// The dependencies of an account worker.
#[derive(Clone, Debug)]
pub struct AccountWorker {
    pub db: Db,
    /// The token store, which contains the mailed tokens.
    pub store: Store,
    pub chain: Chain,
    pub clock: Clock,
}

impl Worker for AccountWorker {
    type Message = AccountCommand;

    async fn handle(&mut self, command: AccountCommand) -> Result<(), WorkerError> {
        match command {
            AccountCommand::Run(origin, use_case) => self.run(&self.change(origin), use_case).await,
            AccountCommand::ReplaceHash { user_id, old_hash, new_hash } => {
                let replaced = table::replace_hash(&self.db, user_id, &old_hash, new_hash).await;
                if let Err(error) = replaced {
                    tracing::warn!(
                        error = %error,
                        "cannot store an updated password hash, the next login tries again"
                    );
                }
            }
            AccountCommand::CollectUnverified { before } => {
                let cx = self.change(RequestOrigin::none());
                match leaving::collect_unverified(&cx, before).await {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(count, "unverified accounts were deleted"),
                    Err(error) => {
                        tracing::warn!(
                            error = %error,
                            "cannot delete unverified accounts, the next run tries again"
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

impl AccountWorker {
    fn change(&self, origin: RequestOrigin) -> ChangeContext<'_> {
        ChangeContext { db: &self.db, chain: &self.chain, origin, now: self.clock.now() }
    }

    async fn run(&self, cx: &ChangeContext<'_>, use_case: UseCase) {
        match use_case {
            // The client has disconnected before the work began. So no account is created.
            UseCase::Register(_, reply) if reply.is_closed() => {}
            UseCase::Register(new, reply) => finish(reply, register::register(cx, new).await),
            UseCase::ResendConfirmation(user, reply) => {
                let _ = reply.send(self.resend(cx, user).await);
            }
            UseCase::Verify(user, reply) => finish(reply, register::verify(cx, user).await),
            UseCase::Reject(user, reply) => finish(reply, leaving::reject(cx, user).await),
            UseCase::Recover(email, reply) => finish(reply, recovery::recover(cx, &email).await),
            UseCase::SetPassword(new, reply) => {
                finish(reply, recovery::set_password(cx, new).await);
            }
            UseCase::AskEmailChange(owner, email, reply) => {
                finish(reply, change::ask(cx, owner, &email).await);
            }
            UseCase::ConfirmEmailChange(id, reply) => finish(reply, change::confirm(cx, id).await),
            UseCase::UndoEmailChange(id, reply) => finish(reply, change::undo(cx, id).await),
            UseCase::RefuseEmailChange(id, reply) => finish(reply, change::refuse(cx, id).await),
            UseCase::Rename(user, name, reply) => {
                finish(reply, change::rename(cx, user, name).await);
            }
            UseCase::Delete(owner, reply) => finish(reply, leaving::delete(cx, owner).await),
            UseCase::AddFactor(owner, new, reply) => {
                finish(reply, factor_changes::add(cx, owner, *new).await);
            }
            UseCase::RenameFactor(of, name, reply) => {
                finish(reply, factor_changes::rename(cx, of, name).await);
            }
            UseCase::RemoveFactor(of, reply) => {
                finish(reply, factor_changes::remove(cx, of).await);
            }
            UseCase::ReplaceRecoveryCodes(owner, digests, reply) => {
                finish(reply, factor_changes::replace_codes(cx, owner, digests).await);
            }
            UseCase::UndoFirstFactor(id, reply) => {
                finish(reply, factor_undo::undo(cx, id).await);
            }
            UseCase::RecordStepUp(user, method, reply) => {
                finish(reply, factor_changes::record_step_up(cx, user, method).await);
            }
            UseCase::RecordCounterFell(of, reply) => {
                finish(reply, factor_changes::record_counter_fell(cx, of).await);
            }
            // The client has disconnected before the work began. So its code is not used up.
            UseCase::SpendRecoveryCode(_, _, reply) if reply.is_closed() => {}
            UseCase::SpendRecoveryCode(user, digest, reply) => {
                finish(reply, factor_changes::spend_code(cx, user, &digest).await);
            }
        }
    }

    /// Writes the row of the new confirmation mail, then deletes the token of the mail before it.
    /// If the mailer has already stored the token of the new mail, that token is not deleted.
    async fn resend(&self, cx: &ChangeContext<'_>, user_id: Uuid) -> Result<Verified, Unavailable> {
        match register::resend(cx, user_id).await? {
            Resent::Due(row) => {
                self.store.drop_token(user_id, TokenKind::Verify, Some(row)).await?;
                Ok(Verified::Now)
            }
            Resent::AlreadyVerified => Ok(Verified::Already),
            Resent::Gone => Ok(Verified::Gone),
        }
    }
}

/// Sends a result to the waiting client. If the client has disconnected, the change is not undone.
fn finish<T: Send + 'static>(reply: Done<T>, result: Result<T, DbErr>) {
    let _ = reply.send(result.map_err(Into::into));
}
