//! [`AccountService`]: the use cases of accounts that need limits, captchas, passwords and
//! sessions.

use uuid::Uuid;

use super::{AccountOwner, Accounts, Deleted, RegistrationRefusal};
use crate::admission::{Admission, Ask, AttemptRefusal, Client, Limited};
use crate::audit::Chain;
use crate::captcha::{CaptchaError, Captchas};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Db;
use crate::mail::Deliveries;
use crate::password::{Breach, Breached, Passwords, Policy, PolicyViolation};
use crate::problem::{Code, Unavailable};
use crate::secret::Secret;
use crate::session::{FactorRequired, Principal, Sessions};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::telemetry::labels::EndReason;
use crate::token::KeyRing;

/// The dependencies of the use cases of accounts, borrowed for one request.
#[derive(Clone, Copy, Debug)]
pub struct AccountService<'a> {
    pub accounts: &'a Accounts,
    pub sessions: &'a Sessions,
    pub passwords: &'a Passwords,
    pub captchas: &'a Captchas,
    pub deliveries: &'a Deliveries,
    pub admission: &'a Admission,
    pub policy: &'a Policy,
    pub breach: Option<&'a Breach>,
    pub db: &'a Db,
    pub store: &'a Store,
    /// The keys of second factors.
    pub keys: &'a KeyRing,
    pub chain: &'a Chain,
    pub clock: &'a Clock,
    pub metrics: &'a Metrics,
    pub config: &'a Config,
}

/// Why a use case of an account is refused.
#[derive(Debug)]
pub enum AccountError {
    /// A limit refuses the request.
    Limited(Limited),
    /// The captcha is missing, wrong or was used before.
    CaptchaNeeded {
        /// The difficulty of the next captcha, as a multiple of the usual one.
        difficulty: u32,
    },
    /// The password is not the password of this email address, or the address has no account.
    WrongCredentials,
    /// The password that confirms a change is wrong.
    WrongPassword,
    /// The first proof of a login is right, and the account has a second factor.
    FactorRequired(FactorRequired),
    /// The challenge of a login is unknown, has ended or has expired.
    ChallengeInvalid,
    /// The code or the passkey of a second factor is wrong.
    WrongProof,
    /// The new passkey is wrong.
    WrongNewPasskey,
    /// The challenge of a new passkey is unknown, has ended, or belongs to another session.
    EnrolmentInvalid,
    /// The passkey is registered already.
    PasskeyTaken,
    /// The account has no passkey.
    NoPasskey,
    /// Passkeys are off.
    PasskeysOff,
    /// The code that confirms a new factor is wrong.
    WrongFirstCode,
    /// The user has no such factor.
    NoSuchFactor,
    /// The account has no factor.
    NoFactor,
    /// The account has the greatest number of factors.
    TooManyFactors,
    /// The password is right, but the operator has disabled the account.
    Disabled,
    /// The email address is already proven.
    AlreadyVerified,
    /// Another account has the email address.
    EmailTaken,
    /// The settings do not let this address register.
    Registration(RegistrationRefusal),
    /// A mailed link is unknown, used, replaced or expired.
    LinkInvalid,
    /// The new password is not strong enough.
    WeakPassword(WeakPassword),
    /// The password was changed by another request meanwhile.
    Changed,
    /// The session or the account no longer exists.
    SessionGone,
    /// The user is the only owner of these teams, and they have other members.
    OwnsTeams(Vec<String>),
    /// A dependency fails.
    Unavailable(Unavailable),
}

/// Why a new password is refused.
#[derive(Clone, Copy, Debug)]
pub enum WeakPassword {
    /// The password breaks a rule of the policy.
    Policy(PolicyViolation),
    /// The password is known from a data breach.
    Breached,
}

impl WeakPassword {
    /// The code of the broken rule, which the response contains as `errors[].code`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Policy(violation) => violation.code(),
            Self::Breached => Breached::CODE,
        }
    }
}

impl std::fmt::Display for WeakPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Policy(violation) => violation.fmt(f),
            Self::Breached => Breached.fmt(f),
        }
    }
}

impl AccountError {
    /// The error's code in the API.
    pub fn code(&self) -> Code {
        match self {
            Self::Limited(_) => Code::RateLimited,
            Self::CaptchaNeeded { .. } => Code::CaptchaInvalid,
            Self::WrongCredentials | Self::WrongPassword | Self::WrongProof => {
                Code::InvalidCredentials
            }
            Self::FactorRequired(_) => Code::FactorRequired,
            Self::ChallengeInvalid => Code::ChallengeInvalid,
            Self::NoSuchFactor | Self::PasskeysOff => Code::NotFound,
            Self::Disabled => Code::AccountDisabled,
            Self::AlreadyVerified => Code::AlreadyVerified,
            Self::EmailTaken => Code::EmailTaken,
            Self::Registration(_) => Code::Forbidden,
            Self::LinkInvalid => Code::TokenInvalid,
            Self::WeakPassword(_)
            | Self::WrongFirstCode
            | Self::WrongNewPasskey
            | Self::EnrolmentInvalid => Code::ValidationFailed,
            Self::Changed
            | Self::OwnsTeams(_)
            | Self::NoFactor
            | Self::NoPasskey
            | Self::PasskeyTaken
            | Self::TooManyFactors => Code::Conflict,
            Self::SessionGone => Code::InvalidToken,
            Self::Unavailable(unavailable) => unavailable.code(),
        }
    }
}

impl From<Unavailable> for AccountError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<sea_orm::DbErr> for AccountError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<Limited> for AccountError {
    fn from(limited: Limited) -> Self {
        Self::Limited(limited)
    }
}

impl From<AttemptRefusal> for AccountError {
    fn from(refusal: AttemptRefusal) -> Self {
        match refusal {
            AttemptRefusal::Limited(limited) => Self::Limited(limited),
            AttemptRefusal::CaptchaNeeded { difficulty } => Self::CaptchaNeeded { difficulty },
            AttemptRefusal::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

impl From<CaptchaError> for AccountError {
    fn from(error: CaptchaError) -> Self {
        match error {
            CaptchaError::Invalid => Self::CaptchaNeeded { difficulty: 1 },
            CaptchaError::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

impl AccountService<'_> {
    /// Deletes an account, and the teams of the user that have no other member. The user confirms
    /// the deletion with the password or with a second factor.
    pub async fn delete(
        &self,
        client: &mut Client<'_>,
        principal: &Principal,
        password: Option<Secret<String>>,
    ) -> Result<(), AccountError> {
        self.confirm_change(client, principal, password, "delete-account").await?;
        let user_id = principal.standing.id;
        match self.accounts.delete(client.call(), AccountOwner::of(principal)).await? {
            Deleted::OwnsTeams(names) => return Err(AccountError::OwnsTeams(names)),
            Deleted::SessionEnded => return Err(AccountError::SessionGone),
            Deleted::Now => {}
        }
        // The user's row is deleted. So the sessions that are still in the token store give no
        // access, and they expire.
        if let Err(error) = self.store.forget_user(user_id).await {
            tracing::warn!(
                error = %error,
                "cannot delete the sessions of a deleted account from the token store: they are \
                 invalid, and stay there until they expire"
            );
        }
        self.metrics.sessions_revoked.one(EndReason::Deleted);
        Ok(())
    }

    /// Deletes the user's sessions, except `kept`, from the token store after a change of the epoch
    /// has ended them. If this deletion fails, they are invalid nevertheless, because of their
    /// epoch.
    pub(super) async fn delete_ended_sessions(
        &self,
        user_id: Uuid,
        kept: Option<&str>,
        reason: EndReason,
    ) {
        if let Err(error) = self.store.end_sessions(user_id, kept).await {
            tracing::warn!(
                error = %error,
                "cannot delete ended sessions from the token store: they are invalid, and stay \
                 there until they expire"
            );
        }
        self.metrics.sessions_revoked.one(reason);
    }

    /// Applies the limits to the operation that a client asks for.
    pub(super) async fn admit(&self, client: &mut Client<'_>, ask: Ask<'_>) -> Result<(), Limited> {
        self.admission.admit(ask, client.ip, client.rate).await
    }
}
