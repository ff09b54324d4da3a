//! The check of a second factor, with the limits that apply to it.
//!
//! Each attempt at a code is counted before the code is checked. If a dependency fails before the
//! code is checked, the attempt is not counted. A code that was accepted is used up in one
//! statement, so it works once on all replicas together. Nobody can guess a passkey, so the
//! back-off does not count passkeys.

use tokio::time::timeout_at;
use uuid::Uuid;

use super::attempt::CANCEL_WITHIN;
use super::{AccountError, AccountService, Proof};
use crate::admission::{AttemptClient, Client, CodeCap, CountedCode};
use crate::factor::passkey::{Challenge, CredentialResponse};
use crate::factor::recovery_code::RecoveryCode;
use crate::factor::totp::TotpSecret;
use crate::factor::{FactorMethod, table};
use crate::problem::Unavailable;
use crate::secret::Secret;
use crate::session::proof::Level;
use crate::session::{AccountStatus, Tried};
use crate::telemetry::labels::{CodeMethod, CodeStage};

/// A code that a user sends as the second factor.
#[derive(Clone, Debug)]
pub struct FactorCode {
    pub method: FactorMethod,
    pub code: Secret<String>,
}

/// What a user sends as the second factor.
#[derive(Clone, Debug)]
pub enum FactorProof {
    Code(FactorCode),
    Passkey(Box<CredentialResponse>),
}

impl FactorProof {
    pub const fn method(&self) -> FactorMethod {
        match self {
            Self::Code(code) => code.method,
            Self::Passkey(_) => FactorMethod::Passkey,
        }
    }
}

/// The request that contains a second factor.
#[derive(Clone, Debug)]
pub(super) struct ProofPoint<'a> {
    /// The challenge of the login, if the request is the second step of a login. None in a step-up.
    pub login: Option<&'a str>,
    /// The level that the session has before a step-up. None in a login.
    pub level: Option<Level>,
    /// The challenge that a passkey has to sign. None if the client has not asked for one.
    pub passkey: Option<Challenge>,
}

impl AccountService<'_> {
    /// Checks a second factor of an account.
    ///
    /// # Errors
    /// [`AccountError::WrongProof`], whatever is wrong with the proof. [`AccountError::Limited`] if
    /// the client has to wait. In this case nothing is checked, and neither a proof of the
    /// challenge nor the code is used up.
    pub(super) async fn check_factor(
        &self,
        client: &Client<'_>,
        (account, who): (&AccountStatus, &AttemptClient),
        at: ProofPoint<'_>,
        proof: &FactorProof,
    ) -> Result<(), AccountError> {
        // The time that is left after this deadline is for cancelling the attempt.
        let deadline = client.deadline - CANCEL_WITHIN;
        let counted = self.count_attempt(account.id, who, (proof.method(), at.level)).await?;
        if let Some(challenge) = at.login {
            match self.sessions.spend_proof(challenge).await {
                Ok(true) => {}
                Ok(false) => {
                    self.cancel_attempt(counted.as_ref()).await;
                    return Err(AccountError::ChallengeInvalid);
                }
                Err(unavailable) => {
                    self.cancel_attempt(counted.as_ref()).await;
                    return Err(unavailable.into());
                }
            }
        }
        let accept = async {
            match proof {
                FactorProof::Code(code) => self.accept_code(client, account, code).await,
                FactorProof::Passkey(response) => {
                    let step = if at.login.is_some() { "second-factor" } else { "step-up" };
                    let asked = (&**response, at.passkey.as_ref(), step);
                    self.accept_passkey(client, account, asked).await
                }
            }
        };
        let accepted = match timeout_at(deadline, accept).await {
            Ok(accepted) => accepted,
            Err(late) => Err(Unavailable::because("request", late)),
        };
        match accepted {
            Ok(true) => {
                self.forget_codes(account.id).await;
                Ok(())
            }
            Ok(false) => {
                self.record_wrong_proof(client, account, (&at, proof.method()));
                Err(AccountError::WrongProof)
            }
            Err(unavailable) => {
                self.cancel_attempt(counted.as_ref()).await;
                if let Some(challenge) = at.login
                    && let Err(error) = self.sessions.return_proof(challenge).await
                {
                    tracing::warn!(
                        error = %error,
                        "cannot give back a proof of a login whose second factor was not checked: it \
                         counts as a wrong one"
                    );
                }
                Err(unavailable.into())
            }
        }
    }

    /// Counts an attempt at a code. Attempts at a passkey are not counted.
    async fn count_attempt(
        &self,
        user: Uuid,
        who: &AttemptClient,
        (method, level): (FactorMethod, Option<Level>),
    ) -> Result<Option<CountedCode>, AccountError> {
        let cap = match method {
            FactorMethod::Passkey => return Ok(None),
            FactorMethod::Totp if level != Some(Level::Aal2) => CodeCap::Applies,
            FactorMethod::Totp | FactorMethod::RecoveryCode => CodeCap::None,
        };
        Ok(Some(self.admission.admit_code(user, who, cap).await?))
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
            // The proof of a passkey is no code.
            FactorMethod::Passkey => Ok(false),
        }
    }

    /// Counts and logs a wrong code or passkey. The audit records it at most once an hour for each
    /// account and client.
    fn record_wrong_proof(
        &self,
        client: &Client<'_>,
        account: &AccountStatus,
        (at, method): (&ProofPoint<'_>, FactorMethod),
    ) {
        let tried: fn(&'static str) -> Tried = match method {
            // The check of a passkey has logged the reason.
            FactorMethod::Passkey => Tried::Passkey,
            FactorMethod::Totp | FactorMethod::RecoveryCode => {
                let account = self.chain.log_name(&account.email_normal);
                tracing::info!(account, reason = "code", "second factor refused");
                Tried::Code
            }
        };
        let (tried, stage) = match at.login {
            Some(_) => (tried("login"), CodeStage::Login),
            None => (tried("step-up"), CodeStage::StepUp),
        };
        self.count_wrong_code(method, stage);
        self.record_refused(client, tried, &account.email_normal, Some(account.id));
    }

    pub(super) fn count_wrong_code(&self, method: FactorMethod, stage: CodeStage) {
        let method = match method {
            FactorMethod::Totp => CodeMethod::Totp,
            FactorMethod::RecoveryCode => CodeMethod::RecoveryCode,
            // The proof of a passkey is no code.
            FactorMethod::Passkey => return,
        };
        self.metrics.wrong_codes.one((method, stage));
    }

    async fn cancel_attempt(&self, counted: Option<&CountedCode>) {
        let Some(counted) = counted else { return };
        if let Err(error) = self.admission.cancel_code(counted).await {
            tracing::warn!(
                error = %error,
                "cannot cancel an attempt whose code was not checked: it counts as a wrong code"
            );
        }
    }

    /// Removes the account's wrong codes after a right proof.
    pub(super) async fn forget_codes(&self, user: Uuid) {
        warn_of_reset(self.admission.forget_codes(user).await);
    }

    /// Removes the account's wrong codes after a new password was set. If a mailed link set it,
    /// this happens at most once a day. Otherwise an attacker who reads the user's mail could guess
    /// codes without a limit, by one reset after the other.
    pub(super) async fn forget_codes_after(&self, user: Uuid, proof: Proof) {
        warn_of_reset(match proof {
            Proof::Session { .. } => self.admission.forget_codes(user).await,
            Proof::Mailbox => self.admission.forget_codes_once_a_day(user).await,
        });
    }

    /// Makes a recovery code valid again if the login or the step-up failed after the code was
    /// accepted.
    pub(super) async fn give_code_back(&self, user: Uuid, proof: Option<&FactorProof>) {
        let Some(FactorProof::Code(FactorCode { method: FactorMethod::RecoveryCode, code })) =
            proof
        else {
            return;
        };
        let Some(code) = RecoveryCode::parse(code) else { return };
        let digest = code.digest(&self.keys.current().factors, user);
        if let Err(error) = table::restore_code(self.db, user, digest).await {
            tracing::warn!(
                error = %error,
                "cannot give back a recovery code whose login failed: the code is used up"
            );
        }
    }
}

fn warn_of_reset(reset: Result<(), Unavailable>) {
    if let Err(error) = reset {
        tracing::warn!(
            error = %error,
            "cannot reset the wrong codes of a second factor: they still count"
        );
    }
}
