//! The links in mails that prove an email address, or that undo a change of email address.

use latchkey_entity::email_change::{self, EmailChangeState};
use sea_orm::EntityTrait as _;
use uuid::Uuid;

use super::register::Verified;
use super::{AccountError, AccountOwner, AccountService, Asked, Confirmed, Undone};
use crate::admission::budgets::Budget;
use crate::admission::{Action, Ask, Client};
use crate::config::CaptchaPoint;
use crate::mail::undo;
use crate::secret::{Secret, sha256};
use crate::session::account_status::StatusQuery;
use crate::session::{AccountStatus, FirstProof, LoginContext, Principal, Tokens};
use crate::store::{OneTimeToken, TokenKind};
use crate::telemetry::labels::{Done, EndReason};
use crate::telemetry::typed::Outcome;
use crate::user::{EmailAddress, UserState, table};

/// What a confirmation link would do if it were used now.
#[derive(Debug)]
pub enum ConfirmationPreview {
    /// The link would prove the email address of an account.
    Account { email: String, created_at: i64, created_ip: String },
    /// The link would confirm a change to another email address.
    Change { new_email: String },
    /// The link was used before.
    Already,
    /// The link is unknown, used, replaced or expired.
    Invalid,
}

/// What a confirmation link has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The email address of the account is proven.
    Account,
    /// The account has the new email address.
    Change,
}

/// The result of refusing a confirmation link ("this was not me").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedLink {
    /// The account is deleted.
    AccountDeleted,
    /// The change of email address is refused.
    ChangeRefused,
    /// Nothing has changed, because the address was proven before.
    Already,
    /// Nothing has changed, because the link is not valid.
    Invalid,
}

/// The change of email address that a link undoes.
#[derive(Debug)]
pub struct UndoPreview {
    /// The address that the account gets back.
    pub old_email: String,
    /// When the user asked for the change.
    pub changed_at: i64,
}

impl AccountService<'_> {
    /// Returns what a confirmation link would do, without doing it.
    pub async fn preview_confirmation(
        &self,
        token: &str,
    ) -> Result<ConfirmationPreview, AccountError> {
        let Some(found) = self.link(token).await? else { return Ok(ConfirmationPreview::Invalid) };
        match (found.kind, found.subject) {
            (TokenKind::Verify, _) => {
                let query = StatusQuery::default();
                let account = AccountStatus::by_id(self.db, found.user_id, query).await?;
                Ok(match account {
                    None => ConfirmationPreview::Invalid,
                    Some(account) if account.is_verified() => ConfirmationPreview::Already,
                    Some(account) => ConfirmationPreview::Account {
                        email: account.email,
                        created_at: account.created_at,
                        created_ip: account.created_ip,
                    },
                })
            }
            (TokenKind::ChangeEmail, Some(id)) => {
                let change = email_change::Entity::find_by_id(id).one(self.db.reader()).await?;
                Ok(match change {
                    Some(change) if change.state == EmailChangeState::Pending => {
                        ConfirmationPreview::Change { new_email: change.new_email }
                    }
                    Some(change) if change.state == EmailChangeState::Done => {
                        ConfirmationPreview::Already
                    }
                    _ => ConfirmationPreview::Invalid,
                })
            }
            _ => Ok(ConfirmationPreview::Invalid),
        }
    }

    /// Proves the address that a token was mailed to, and opens a session.
    pub async fn verify_email(
        &self,
        client: &mut Client<'_>,
        token: &str,
    ) -> Result<Tokens, AccountError> {
        self.admit(client, Ask::Action(Action::Verify)).await?;
        let (_, user_id) = self.prove(client, token).await?;
        let account = AccountStatus::by_id(self.db, user_id, StatusQuery::default()).await?;
        let account = account.ok_or(AccountError::LinkInvalid)?;
        // The account was disabled in the meantime. Only a client with the right password may learn
        // this.
        if account.state == UserState::Disabled {
            return Err(AccountError::LinkInvalid);
        }
        let proof = self.enter(client, &account, FirstProof::Mail, None).await?;
        let context = LoginContext::default();
        Ok(self.sessions.start(client.call(), &account, proof, context).await?)
    }

    /// Proves the address that a token was mailed to, without opening a session.
    pub async fn confirm_link(
        &self,
        client: &mut Client<'_>,
        token: &str,
    ) -> Result<Confirmation, AccountError> {
        self.admit(client, Ask::Action(Action::Verify)).await?;
        Ok(self.prove(client, token).await?.0)
    }

    async fn prove(
        &self,
        client: &Client<'_>,
        token: &str,
    ) -> Result<(Confirmation, Uuid), AccountError> {
        let result = self.use_confirmation(client, token).await;
        let failed = result.as_ref().err().map(AccountError::code);
        self.metrics.email_verifications.one(Outcome::of(Done::Success, failed));
        result
    }

    async fn use_confirmation(
        &self,
        client: &Client<'_>,
        token: &str,
    ) -> Result<(Confirmation, Uuid), AccountError> {
        let found = self.link(token).await?.ok_or(AccountError::LinkInvalid)?;
        match (found.kind, found.subject) {
            (TokenKind::Verify, _) => {
                match self.accounts.verify(client.call(), found.user_id).await? {
                    Verified::Now => Ok((Confirmation::Account, found.user_id)),
                    Verified::Already => Err(AccountError::AlreadyVerified),
                    Verified::Gone => Err(AccountError::LinkInvalid),
                }
            }
            (TokenKind::ChangeEmail, Some(change_id)) => {
                match self.accounts.confirm_email_change(client.call(), change_id).await? {
                    Confirmed::Now(user_id) => Ok((Confirmation::Change, user_id)),
                    Confirmed::Already => Err(AccountError::AlreadyVerified),
                    Confirmed::EmailTaken => Err(AccountError::EmailTaken),
                    Confirmed::Gone => Err(AccountError::LinkInvalid),
                }
            }
            _ => Err(AccountError::LinkInvalid),
        }
    }

    /// Refuses the change that a confirmation link would make, because the owner of the email
    /// address did not ask for it.
    pub async fn refuse_link(
        &self,
        client: &mut Client<'_>,
        token: &str,
    ) -> Result<RefusedLink, AccountError> {
        self.admit(client, Ask::Action(Action::Verify)).await?;
        let Some(OneTimeToken { kind, user_id, subject, .. }) = self.link(token).await? else {
            return Ok(RefusedLink::Invalid);
        };
        match (kind, subject) {
            (TokenKind::Verify, _) => {
                Ok(match self.accounts.reject(client.call(), user_id).await? {
                    Verified::Now => {
                        self.store.forget_user(user_id).await?;
                        RefusedLink::AccountDeleted
                    }
                    Verified::Already => RefusedLink::Already,
                    Verified::Gone => RefusedLink::Invalid,
                })
            }
            (TokenKind::ChangeEmail, Some(change_id)) => {
                let refused = self.accounts.refuse_email_change(client.call(), change_id);
                Ok(match refused.await? {
                    Undone::Now => RefusedLink::ChangeRefused,
                    Undone::AddressTaken | Undone::Gone => RefusedLink::Invalid,
                })
            }
            _ => Ok(RefusedLink::Invalid),
        }
    }

    /// Returns the change that an undo link would undo, without undoing it. Returns none if the
    /// change can no longer be undone.
    pub async fn preview_undo(&self, token: &str) -> Result<Option<UndoPreview>, AccountError> {
        let change = undo::find(self.db, &sha256(token.as_bytes()), self.clock.now()).await?;
        let change = change.filter(|change| change.state != EmailChangeState::Undone);
        Ok(change.map(|change| UndoPreview {
            old_email: change.old_email,
            changed_at: change.created_at,
        }))
    }

    /// Undoes a change of email address and ends every session of the account.
    pub async fn undo_email_change(
        &self,
        client: &mut Client<'_>,
        token: &str,
    ) -> Result<Undone, AccountError> {
        self.admit(client, Ask::Action(Action::Verify)).await?;
        let found = undo::find(self.db, &sha256(token.as_bytes()), self.clock.now()).await?;
        let Some(change) = found else { return Ok(Undone::Gone) };
        let undone = self.accounts.undo_email_change(client.call(), change.id).await?;
        if undone != Undone::Gone {
            self.metrics.sessions_revoked.one(EndReason::EmailChangeUndone);
            // The undo perhaps writes a notice about removed factors.
            self.deliveries.wake();
        }
        Ok(undone)
    }

    /// Mails the link that confirms the email address again.
    pub async fn resend_confirmation(
        &self,
        client: &mut Client<'_>,
        account: &AccountStatus,
        captcha: Option<String>,
    ) -> Result<(), AccountError> {
        self.admit(client, Ask::Action(Action::Resend)).await?;
        if account.is_verified() {
            return Err(AccountError::AlreadyVerified);
        }
        let captcha = self
            .captchas
            .check((client.ip, client.deadline), CaptchaPoint::Resend, captcha)
            .await?;
        let mail = Ask::Mail(Budget::Confirmations, &account.email_normal, captcha);
        self.admit(client, mail).await?;
        match self.accounts.resend_confirmation(client.call(), account.id).await? {
            Verified::Now => {}
            Verified::Already => return Err(AccountError::AlreadyVerified),
            Verified::Gone => return Err(AccountError::SessionGone),
        }
        self.deliveries.wake();
        Ok(())
    }

    /// Sends the new email address a link that confirms the change, and the old email address a
    /// notice.
    pub async fn change_email(
        &self,
        client: &mut Client<'_>,
        principal: &Principal,
        password: Option<Secret<String>>,
        email: EmailAddress,
    ) -> Result<(), AccountError> {
        self.admit(client, Ask::Action(Action::Resend)).await?;
        self.confirm_change(client, principal, password, "change-email").await?;
        let account = &principal.standing;
        self.may_move(account, &email).await?;
        self.admit(client, Ask::Action(Action::ExistEmail)).await?;
        self.admit(client, Ask::Account(Budget::AddressChanges, account.id)).await?;
        // This check comes before the budget for mails to the new address is spent. So if the
        // address has an account, only the owner of that account can use up this budget.
        if table::is_registered(self.db, email.normal()).await? {
            return Err(AccountError::EmailTaken);
        }
        self.admit(client, Ask::Mail(Budget::Confirmations, email.normal(), None)).await?;
        match self
            .accounts
            .ask_email_change(client.call(), AccountOwner::of(principal), email)
            .await?
        {
            Asked::Now => self.deliveries.wake(),
            Asked::EmailTaken => return Err(AccountError::EmailTaken),
            Asked::Gone => return Err(AccountError::SessionGone),
        }
        Ok(())
    }

    /// Reads a mailed token from the token store.
    async fn link(&self, token: &str) -> Result<Option<OneTimeToken>, AccountError> {
        Ok(self.store.find_token(&sha256(token.as_bytes()), self.clock.now()).await?)
    }
}
