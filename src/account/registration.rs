//! Registration of accounts, with its limits and the check whether an email address may register.

use super::{AccountError, AccountService, Registered, Registration, WeakPassword};
use crate::admission::budgets::Budget;
use crate::admission::{Action, Ask, Client};
use crate::config::{CaptchaPoint, RegistrationMode};
use crate::password::Finding;
use crate::problem::Code;
use crate::secret::Secret;
use crate::session::{AccountStatus, FirstProof, LoginContext, Tokens};
use crate::team::joining;
use crate::telemetry::labels::Done;
use crate::telemetry::typed::Outcome;
use crate::user::{EmailAddress, PersonName, table};

/// Why `registration.mode` does not let an email address register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationRefusal {
    /// Addresses of this domain may not register.
    Domain,
    /// No address may register.
    Closed,
    /// Only invited addresses may register.
    InviteOnly,
}

/// The data that a client sends to register. The password was checked against the policy when the
/// data was read.
#[derive(Debug)]
pub struct RegistrationForm {
    pub email: EmailAddress,
    pub name: PersonName,
    pub password: Secret<String>,
    pub captcha: Option<String>,
}

impl AccountService<'_> {
    /// Creates an account, mails the link that confirms its email address, and opens the first
    /// session.
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
        if table::is_registered(self.db, email.normal()).await? {
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
        let proof = self.enter(client, &account, FirstProof::Password, None).await?;
        let context = LoginContext::default();
        Ok(self.sessions.start(client.call(), &account, proof, context).await?)
    }

    /// Counts the outcome of a registration in the metrics. A registration with invalid data is
    /// also counted.
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

    /// If `registration.mode` is `invite`, refuses an email address that no team has invited.
    ///
    /// This check comes after the captcha. Otherwise a client could find out without a captcha
    /// which addresses are invited. The check is the same for an address that already has an
    /// account.
    async fn is_invited(&self, email: &EmailAddress) -> Result<(), AccountError> {
        if self.config.registration.mode != RegistrationMode::Invite
            || joining::is_invited(self.db, email.normal(), self.clock.now()).await?
        {
            return Ok(());
        }
        Err(AccountError::Registration(RegistrationRefusal::InviteOnly))
    }

    /// Refuses a change of email address that would bypass the registration mode.
    ///
    /// The mode `domains` applies to every account. The other modes apply only to an account whose
    /// address is not proven. The new address of such an account must be one that may register.
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

    /// Refuses a password that is known from a data breach.
    ///
    /// This check comes after the captcha and the limit of the IP address, because it sends a
    /// request to another service. If that service fails, the password is accepted
    /// ([`crate::password::breach`]).
    pub(super) async fn not_breached(&self, password: &Secret<String>) -> Result<(), AccountError> {
        let Some(breach) = self.breach else { return Ok(()) };
        if breach.check(password).await == Finding::Breached {
            return Err(AccountError::WeakPassword(WeakPassword::Breached));
        }
        Ok(())
    }
}
