//! The check of a code of a second factor, with the limits that apply to it.
//!
//! Each attempt is counted before the code is checked. If a dependency fails before the code is
//! checked, the attempt is not counted. A code that was accepted is used up in one statement, so it
//! works once on all replicas together.

use uuid::Uuid;

use super::{AccountError, AccountService};
use crate::admission::{AttemptClient, Client, CodeCap, CountedCode};
use crate::factor::recovery_code::RecoveryCode;
use crate::factor::totp::TotpSecret;
use crate::factor::{FactorMethod, table};
use crate::problem::Unavailable;
use crate::secret::Secret;
use crate::session::{AccountStatus, Tried};

/// A code that a user sends as the second factor.
#[derive(Clone, Debug)]
pub struct FactorCode {
    pub method: FactorMethod,
    pub code: Secret<String>,
}

/// The request that contains a code.
#[derive(Clone, Copy, Debug)]
pub(super) enum CodePoint<'a> {
    /// The second step of a login, with the challenge of the login.
    Login(&'a str),
    StepUp,
}

impl AccountService<'_> {
    /// Checks a code of an account.
    ///
    /// # Errors
    /// [`AccountError::WrongCode`], whatever is wrong with the code. [`AccountError::Limited`] if
    /// the client has to wait. In this case nothing is checked, and neither a proof of the
    /// challenge nor the code is used up.
    pub(super) async fn check_code(
        &self,
        client: &Client<'_>,
        (account, who): (&AccountStatus, &AttemptClient),
        at: CodePoint<'_>,
        code: &FactorCode,
    ) -> Result<(), AccountError> {
        let cap = match code.method {
            FactorMethod::RecoveryCode => CodeCap::None,
            FactorMethod::Totp | FactorMethod::Passkey => CodeCap::Applies,
        };
        let counted = self.admission.admit_code(account.id, who, cap).await?;
        if let CodePoint::Login(challenge) = at {
            match self.sessions.spend_proof(challenge).await {
                Ok(true) => {}
                Ok(false) => {
                    self.cancel_code(&counted).await;
                    return Err(AccountError::ChallengeInvalid);
                }
                Err(unavailable) => {
                    self.cancel_code(&counted).await;
                    return Err(unavailable.into());
                }
            }
        }
        match self.accept_code(client, account, code).await {
            Ok(true) => {
                self.forget_codes(account.id).await;
                Ok(())
            }
            Ok(false) => {
                self.record_wrong_code(client, account, at);
                Err(AccountError::WrongCode)
            }
            Err(unavailable) => {
                self.cancel_code(&counted).await;
                if let CodePoint::Login(challenge) = at
                    && let Err(error) = self.sessions.return_proof(challenge).await
                {
                    tracing::warn!(
                        error = %error,
                        "cannot give back a proof of a login whose code was not checked: it counts \
                         as a wrong code"
                    );
                }
                Err(unavailable.into())
            }
        }
    }

    /// Uses up a code. Returns false if the code is wrong or was used before.
    async fn accept_code(
        &self,
        client: &Client<'_>,
        account: &AccountStatus,
        FactorCode { method, code }: &FactorCode,
    ) -> Result<bool, Unavailable> {
        let keys = self.keys.current().factors.clone();
        match method {
            FactorMethod::Totp => {
                let found = table::totp(self.db.reader(), account.id).await?;
                let Some(factor) = found else { return Ok(false) };
                let secret = TotpSecret::open(&keys, factor.id, &factor.sealed)
                    .map_err(|error| Unavailable::because("factor key", error))?;
                let now = self.clock.now();
                let Some(step) = secret.check(code, now) else { return Ok(false) };
                Ok(table::accept_step(self.db, factor.id, step, now).await?)
            }
            FactorMethod::RecoveryCode => {
                let Some(code) = RecoveryCode::parse(code) else { return Ok(false) };
                let digest = code.digest(&keys, account.id);
                self.accounts.spend_recovery_code(client.call(), account.id, digest).await
            }
            FactorMethod::Passkey => Ok(false),
        }
    }

    /// Logs and records a wrong code, at most once an hour for each account and client.
    fn record_wrong_code(&self, client: &Client<'_>, account: &AccountStatus, at: CodePoint<'_>) {
        let digest = self.chain.log_name(&account.email_normal);
        tracing::info!(account = digest, reason = "code", "second factor refused");
        let tried = match at {
            CodePoint::Login(_) => Tried::LogIn("code"),
            CodePoint::StepUp => Tried::Change("step-up"),
        };
        self.record_refused(client, tried, &account.email_normal, Some(account.id));
    }

    async fn cancel_code(&self, counted: &CountedCode) {
        if let Err(error) = self.admission.cancel_code(counted).await {
            tracing::warn!(
                error = %error,
                "cannot cancel an attempt whose code was not checked: it counts as a wrong code"
            );
        }
    }

    /// Removes the account's wrong codes, after a right code or with a new password.
    pub(super) async fn forget_codes(&self, user: Uuid) {
        if let Err(error) = self.admission.forget_codes(user).await {
            tracing::warn!(
                error = %error,
                "cannot reset the wrong codes of a second factor: they still count"
            );
        }
    }
}
