//! Setting a new password, either after a check of the old password or with a mailed link.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::{AccountError, AccountService, NewPassword, Proof, Reset, WeakPassword};
use crate::admission::budgets::Budget;
use crate::admission::{Action, Ask, Client};
use crate::captcha::Verdict;
use crate::config::CaptchaPoint;
use crate::secret::{Secret, sha256};
use crate::session::account_status::StatusQuery;
use crate::session::{AccountStatus, Principal, Tokens};
use crate::store::TokenKind;
use crate::team::teams;
use crate::telemetry::labels::{EndReason, ResetOutcome, ResetStage};
use crate::telemetry::typed::Outcome;
use crate::user::{EmailAddress, table};

/// The shortest time after which [`AccountService::forgot`] returns a response.
///
/// In a measurement with PostgreSQL and Redis, a known email address took about 1 ms longer than an
/// unknown one (docs/limits.md). No password is hashed in this use case, so no hash hides the
/// difference. The value is 20 times the slowest median of the measurement.
const RESPONSE_AFTER: Duration = Duration::from_millis(100);

/// Result of a change of password.
#[derive(Debug)]
pub struct ChangedPassword {
    /// The new tokens of the session that changed the password. Every other session has ended.
    pub tokens: Tokens,
    /// The token that makes the client a known device under the new password.
    pub device_token: String,
}

/// The state of a recovery link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryLink {
    /// The link can set a new password.
    Ready,
    /// The password was changed once since the link was mailed, usually with this link.
    Done,
    /// The link is unknown, replaced or expired, or the password was changed more than once.
    Invalid,
}

impl AccountService<'_> {
    /// Sets a new password after verifying the old one. Every session of the account ends, except
    /// the session that changes the password.
    pub async fn change_password(
        &self,
        client: &mut Client<'_>,
        principal: Principal,
        (old, new): (Option<Secret<String>>, Secret<String>),
    ) -> Result<ChangedPassword, AccountError> {
        let device = self.confirm_change(client, &principal, old, "change-password").await?;
        let Principal { session, standing: mut account, replaced_token } = principal;
        let password_version = account.password_version;
        let proof = Proof::Session { epoch: account.session_epoch };
        let epoch = self
            .set_password(client, &account, password_version, (new, proof))
            .await?
            .ok_or(AccountError::Changed)?;
        self.deliveries.wake();
        // The new epoch ends every session of the account. The session of this request gets the new
        // epoch, and the other sessions are deleted.
        let (sid, now) = (&session.sid, self.clock.now());
        let session = self.store.restamp_session(account.id, sid, epoch, now).await?;
        let session = session.ok_or(AccountError::SessionGone)?;
        self.store.end_sessions(account.id, Some(&session.sid)).await?;
        self.metrics.sessions_revoked.one(EndReason::PasswordChanged);
        account.password_version = password_version + 1;
        let tokens = self.sessions.tokens_for(replaced_token, session, &account)?;
        // The device token for the old password is no longer valid. The device keeps its id in the
        // new token, so that its failed attempts still count.
        let device_token = self.device_token(&account, device, None);
        Ok(ChangedPassword { tokens, device_token })
    }

    /// Mails a recovery link if the email address has an account. If the budget for recovery mails
    /// to this address is used up, no mail is sent, and the link of the last mail stays valid. The
    /// response does not show whether a mail was sent.
    pub async fn forgot(
        &self,
        client: &mut Client<'_>,
        email: EmailAddress,
        captcha: Option<String>,
    ) -> Result<(), AccountError> {
        self.admit(client, Ask::Action(Action::Forgot)).await?;
        let captcha = self
            .captchas
            .check((client.ip, client.deadline), CaptchaPoint::Forgot, captcha)
            .await?;
        let response_at = Instant::now() + RESPONSE_AFTER;
        let asked = self.ask_recovery(client, email, captcha).await;
        tokio::time::sleep_until(response_at).await;
        asked
    }

    async fn ask_recovery(
        &self,
        client: &mut Client<'_>,
        email: EmailAddress,
        captcha: Option<Verdict>,
    ) -> Result<(), AccountError> {
        // If the database is down, the mail cannot be written. This check then fails before a unit
        // of the mail budget is spent.
        self.db.ready().await?;
        let (budget, address) = (Budget::Recoveries, email.normal());
        let admitted = if table::is_registered(self.db, address).await? {
            self.admit(client, Ask::Mail(budget, address, captcha)).await
        } else {
            self.admission.look_at_mailbox(budget, address, captcha).await;
            Ok(())
        };
        let mut outcome = ResetOutcome::OverBudget;
        if admitted.is_ok() {
            self.accounts.recover(client.call(), email).await?;
            self.deliveries.wake();
            outcome = ResetOutcome::Success;
        }
        self.metrics.password_resets.one((ResetStage::Forgot, Outcome::Is(outcome)));
        Ok(())
    }

    /// Sets a new password with a mailed token. Returns a device token, because a mailed token
    /// proves at least as much as a login.
    pub async fn reset_password(
        &self,
        client: &mut Client<'_>,
        token: &Secret<String>,
        password: Secret<String>,
    ) -> Result<String, AccountError> {
        self.admit(client, Ask::Action(Action::Reset)).await?;
        let result = self.reset(client, token, password).await;
        let failed = result.as_ref().err().map(AccountError::code);
        let outcome = Outcome::of(ResetOutcome::Success, failed);
        self.metrics.password_resets.one((ResetStage::Reset, outcome));
        result
    }

    async fn reset(
        &self,
        client: &Client<'_>,
        token: &Secret<String>,
        password: Secret<String>,
    ) -> Result<String, AccountError> {
        let (account, version) =
            self.account_to_reset(token.expose()).await?.ok_or(AccountError::LinkInvalid)?;
        let address = EmailAddress::parse(&account.email).ok();
        self.keeps_policy(&password, address.as_ref(), Some(&account.name))
            .map_err(AccountError::WeakPassword)?;
        self.set_password(client, &account, version, (password, Proof::Mailbox))
            .await?
            .ok_or(AccountError::LinkInvalid)?;
        self.after_reset(account.id).await;
        let known = self.known_device(client, &account);
        let account = AccountStatus { password_version: version + 1, ..account };
        Ok(self.device_token(&account, known, None))
    }

    /// What a client could do with a mailed token now. The token stays unused.
    pub async fn recovery_link(&self, token: &str) -> Result<RecoveryLink, AccountError> {
        Ok(match self.account_of_link(token).await? {
            Some((account, stamp)) if account.password_version == stamp => RecoveryLink::Ready,
            Some((account, stamp)) if account.password_version == stamp + 1 => RecoveryLink::Done,
            _ => RecoveryLink::Invalid,
        })
    }

    /// Reads the account of a recovery token, and the version that the password had when the token
    /// was mailed. Returns none if the token was used, or if the password has changed since the
    /// mail.
    async fn account_to_reset(
        &self,
        token: &str,
    ) -> Result<Option<(AccountStatus, i32)>, AccountError> {
        let found = self.account_of_link(token).await?;
        Ok(found.filter(|(account, stamp)| account.password_version == *stamp))
    }

    /// Does the same as [`AccountService::account_to_reset`], but also for a token that was used.
    async fn account_of_link(
        &self,
        token: &str,
    ) -> Result<Option<(AccountStatus, i32)>, AccountError> {
        let digest = sha256(token.as_bytes());
        let found = self.store.find_token(&digest, self.clock.now()).await?;
        let Some(found) = found.filter(|found| found.kind == TokenKind::Recover) else {
            return Ok(None);
        };
        let query = StatusQuery::default();
        let account = AccountStatus::by_id(self.db, found.user_id, query).await?;
        Ok(account.map(|account| (account, found.stamp)))
    }

    /// Sets the password, unless it has changed or the session has ended since the proof was
    /// checked. Returns the new epoch.
    async fn set_password(
        &self,
        client: &Client<'_>,
        account: &AccountStatus,
        password_version: i32,
        (password, proof): (Secret<String>, Proof),
    ) -> Result<Option<i32>, AccountError> {
        self.not_a_teams_name(&password, account.id).await?;
        self.not_breached(&password).await?;
        let password_hash = self.passwords.hash(client.key, client.deadline, password).await?;
        let new = NewPassword { user_id: account.id, password_version, password_hash, proof };
        match self.accounts.set_password(client.call(), new).await? {
            Reset::Stale => Ok(None),
            Reset::Now { epoch } => {
                self.prove_client(client, &account.email_normal).await;
                self.forget_codes_after(account.id, proof).await;
                Ok(Some(epoch))
            }
        }
    }

    /// Deletes the user's sessions from the token store, and sends the notice. The recovery token
    /// is invalid because of its password version. It stays in the store until it expires, so that
    /// the page can say that it was used.
    async fn after_reset(&self, user_id: Uuid) {
        self.delete_ended_sessions(user_id, None, EndReason::Reset).await;
        self.deliveries.wake();
    }

    /// Checks a new password against the policy. If the user's email address and name are known,
    /// the password is also checked against them.
    pub fn keeps_policy(
        &self,
        password: &Secret<String>,
        address: Option<&EmailAddress>,
        name: Option<&str>,
    ) -> Result<(), WeakPassword> {
        let mut context = Vec::new();
        if let Some(address) = address {
            context.extend([address.as_typed(), address.normal(), address.local()]);
        }
        context.extend(name);
        self.policy.check(password, &context).map_err(WeakPassword::Policy)
    }

    /// Refuses a password that is the name of one of the user's teams (ASVS 6.2.11). Call this
    /// function only after the client has proven that it is this user, because the response reveals
    /// the team's name.
    async fn not_a_teams_name(
        &self,
        password: &Secret<String>,
        user_id: Uuid,
    ) -> Result<(), AccountError> {
        let most = self.config.teams.max_per_user;
        let teams = teams::of_user(self.db, user_id, Uuid::nil(), most).await?;
        let names: Vec<&str> =
            teams.iter().flat_map(|team| [team.name.as_str(), team.slug.as_str()]).collect();
        let checked = self.policy.check(password, &names);
        checked.map_err(|violation| AccountError::WeakPassword(WeakPassword::Policy(violation)))
    }
}
