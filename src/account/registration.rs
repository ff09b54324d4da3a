//! Registration, with its limits, and which addresses may register.

use super::login::BY_PASSWORD;
use super::{AccountError, AccountService, Registered, Registration, WeakPassword};
use crate::admission::budgets::Budget;
use crate::admission::{Action, Ask, Client};
use crate::config::{CaptchaPoint, RegistrationMode};
use crate::password::Finding;
use crate::problem::Code;
use crate::secret::Secret;
use crate::session::{AccountStatus, LoginContext, Tokens};
use crate::team::joining;
use crate::telemetry::labels::Done;
use crate::telemetry::typed::Outcome;
use crate::user::{EmailAddress, PersonName};

/// Why the settings do not let an address register (`registration.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationRefusal {
    /// Other domains may.
    Domain,
    /// No address may.
    Closed,
    /// Only invited addresses may.
    InviteOnly,
}

/// What a client sends to register; the password keeps the policy.
#[derive(Debug)]
pub struct RegistrationForm {
    pub email: EmailAddress,
    pub name: PersonName,
    pub password: Secret<String>,
    pub captcha: Option<String>,
}

impl AccountService<'_> {
    /// Creates an account, mails the confirmation of its address and opens a first session.
    pub async fn register(
        &self,
        client: &mut Client<'_>,
        form: RegistrationForm,
    ) -> Result<Tokens, AccountError> {
        let RegistrationForm { email, name, password, captcha } = form;
        self.admit(client, Ask::Action(Action::Register)).await?;
        self.may_register(&email)?;
        let captcha = self
            .captchas
            .check((client.ip, client.deadline), CaptchaPoint::Register, captcha)
            .await?;
        self.is_invited(&email).await?;
        if AccountStatus::by_email(self.db, email.normal()).await?.is_some() {
            return Err(AccountError::EmailTaken);
        }
        self.not_breached(&password).await?;
        self.store.ready().await?;
        let mail = Ask::Mail(Budget::Confirmations, email.normal(), captcha);
        self.admit(client, mail).await?;
        let password_hash = self.passwords.hash(client.key, client.deadline, password).await?;
        let new = Registration { email, name: name.as_str().to_owned(), password_hash };
        let account = match self.accounts.register(client.call(), new).await? {
            Registered::EmailTaken => return Err(AccountError::EmailTaken),
            Registered::Now(account) => account,
        };
        self.deliveries.wake();
        let context = LoginContext::default();
        Ok(self.sessions.start(client.call(), &account, BY_PASSWORD, context).await?)
    }

    /// Counts the outcome of a registration, also of one whose form was refused.
    pub fn count_registration(&self, error: Option<Code>) {
        self.metrics.registrations.one(Outcome::of(Done::Success, error));
    }

    fn may_register(&self, email: &EmailAddress) -> Result<(), AccountError> {
        let registration = &self.config.registration;
        let refusal = match registration.mode {
            RegistrationMode::Open | RegistrationMode::Invite => return Ok(()),
            RegistrationMode::Domains
                if registration.domains.iter().any(|domain| domain == email.domain()) =>
            {
                return Ok(());
            }
            RegistrationMode::Domains => RegistrationRefusal::Domain,
            RegistrationMode::Closed => RegistrationRefusal::Closed,
        };
        Err(AccountError::Registration(refusal))
    }

    /// Whether the address was invited, where it has to be. It is asked after the captcha, and alike for an address with an
    /// account: a client without a captcha must not find out who is invited.
    async fn is_invited(&self, email: &EmailAddress) -> Result<(), AccountError> {
        if self.config.registration.mode != RegistrationMode::Invite
            || joining::is_invited(self.db, email.normal(), self.clock.now()).await?
        {
            return Ok(());
        }
        Err(AccountError::Registration(RegistrationRefusal::InviteOnly))
    }

    /// Whether an account may move to this address, so that a change of address does not go around the registration mode.
    /// Domains hold for every account; an account whose address is not proven may move only to an address that may register.
    pub(super) async fn may_move(
        &self,
        account: &AccountStatus,
        email: &EmailAddress,
    ) -> Result<(), AccountError> {
        if self.config.registration.mode == RegistrationMode::Domains || !account.is_verified() {
            self.may_register(email)?;
            self.is_invited(email).await?;
        }
        Ok(())
    }

    /// Refuses a password that is known from a breach. It is asked last, after limits and captcha, since another service
    /// answers. Fails open ([`crate::password::breach`]).
    pub(super) async fn not_breached(&self, password: &Secret<String>) -> Result<(), AccountError> {
        let Some(breach) = self.breach else { return Ok(()) };
        if breach.check(password).await == Finding::Breached {
            return Err(AccountError::WeakPassword(WeakPassword::Breached));
        }
        Ok(())
    }
}
