//! Login by email address and password, and the check of the password that confirms a change.

use uuid::Uuid;

use super::{AccountError, AccountService};
use crate::admission::budgets::Budget;
use crate::admission::device::Device;
use crate::admission::{Ask, Client, KnownSession};
use crate::client_key::ClientKey;
use crate::clock::{CLOCKS_APART_MAX, millis};
use crate::password::{OldHash, Verdict};
use crate::secret::Secret;
use crate::session::{
    AccountStatus, ChallengeUse, Entry, FirstProof, LoginContext, Principal, Proof,
    RefusedPassword, Tokens, Tried, WaitingDevice,
};
use crate::telemetry::labels::{ChallengeOutcome, Done, LoginMethod};
use crate::telemetry::typed::Outcome;
use crate::user::{EmailAddress, UserState};

/// Result of a successful login.
#[derive(Debug)]
pub struct LoggedIn {
    /// The tokens of the new session.
    pub tokens: Tokens,
    /// The token that makes the client a known device.
    pub device_token: String,
}

/// A user who has proven who they are, without a session.
#[derive(Debug)]
pub struct ProvenUser {
    pub account: AccountStatus,
    /// The level and the methods of the proof.
    pub proof: Proof,
}

/// Result of the check of a right password.
#[derive(Debug)]
struct RightPassword {
    account: AccountStatus,
    device: Option<Device>,
    needs_rehash: bool,
}

impl AccountService<'_> {
    /// Opens a session for an email address and its password. The daemon does the same work for an
    /// unknown address as for a wrong password.
    pub async fn log_in(
        &self,
        client: &mut Client<'_>,
        email: &EmailAddress,
        password: Secret<String>,
        captcha: Option<String>,
    ) -> Result<LoggedIn, AccountError> {
        let attempt = match self.begin(client, email.normal()).await {
            // This refusal is not counted as a login, because the limit by IP address has a metric
            // of its own.
            Err(error @ AccountError::Limited(_)) => {
                self.log_refused_login(email, "address-limit");
                return Err(error);
            }
            other => other,
        };
        let result = async {
            let mut attempt = attempt?;
            // If the token store is down, no session can be opened. The response is then 503 for a
            // right and for a wrong password, and no hash is computed.
            self.store.ready().await?;
            let again = password.clone();
            let verified = self.check(client, &mut attempt, email, (password, captcha)).await?;
            self.open(client, verified, again).await
        };
        let result = result.await;
        match &result {
            Err(AccountError::Limited(_)) => self.log_refused_login(email, "back-off"),
            Err(AccountError::CaptchaNeeded { .. }) => self.log_refused_login(email, "captcha"),
            _ => {}
        }
        let failed = result.as_ref().err().map(AccountError::code);
        self.metrics.logins.one((LoginMethod::Password, Outcome::of(Done::Success, failed)));
        result
    }

    /// Checks an email address and its password in the same way as a login, but opens no session.
    ///
    /// # Errors
    /// [`AccountError::FactorRequired`] if the account has a second factor and the device is not
    /// trusted. [`AccountService::check_second_factor`] accepts the challenge of this error.
    pub async fn check_password(
        &self,
        client: &mut Client<'_>,
        email: &EmailAddress,
        password: Secret<String>,
    ) -> Result<ProvenUser, AccountError> {
        let mut attempt = self.begin(client, email.normal()).await?;
        let verified = self.check(client, &mut attempt, email, (password, None)).await?;
        let RightPassword { account, device, .. } = verified;
        let first = (FirstProof::Password, ChallengeUse::Page);
        let proof = self.enter_for(client, &account, first, device).await?;
        Ok(ProvenUser { account, proof })
    }

    async fn check(
        &self,
        client: &mut Client<'_>,
        attempt: &mut super::attempt::LoginAttempt,
        email: &EmailAddress,
        (password, captcha): (Secret<String>, Option<String>),
    ) -> Result<RightPassword, AccountError> {
        self.admit_unless_device(client, attempt, captcha).await?;
        let account = self.account_of(client, attempt).await?;
        let id = account.as_ref().map(|account| account.id);
        let verdict = self.verify(client, attempt, account.as_ref(), password).await?;
        let (Some(account), Verdict::Match | Verdict::MatchNeedsRehash) = (account, verdict) else {
            self.record_refused_login(client, email, id, "password");
            return Err(AccountError::WrongCredentials);
        };
        if account.state == UserState::Disabled {
            self.record_refused_login(client, email, id, "disabled");
            return Err(AccountError::Disabled);
        }
        let needs_rehash = verdict == Verdict::MatchNeedsRehash;
        Ok(RightPassword { account, device: attempt.device(), needs_rehash })
    }

    async fn open(
        &self,
        client: &mut Client<'_>,
        verified: RightPassword,
        password: Secret<String>,
    ) -> Result<LoggedIn, AccountError> {
        let RightPassword { account, device, needs_rehash } = verified;
        if needs_rehash {
            let hash = account.password_hash.expose().clone();
            self.passwords.rehash(OldHash { user_id: account.id, hash, password });
        }
        let proof = self.enter(client, &account, FirstProof::Password, device).await?;
        let context = self.context(client, &account, device).await;
        let tokens = self.sessions.start(client.call(), &account, proof, context).await?;
        // A login on a trusted device does not make the trust longer.
        let device_token = self.device_token(&account, device, None);
        Ok(LoggedIn { tokens, device_token })
    }

    /// Decides whether a login needs a second factor, after its first proof was right. If it needs
    /// none, returns the proof with which the session is opened.
    pub(super) async fn enter(
        &self,
        client: &mut Client<'_>,
        account: &AccountStatus,
        first: FirstProof,
        device: Option<Device>,
    ) -> Result<Proof, AccountError> {
        self.enter_for(client, account, (first, ChallengeUse::Login), device).await
    }

    async fn enter_for(
        &self,
        client: &mut Client<'_>,
        account: &AccountStatus,
        (first, purpose): (FirstProof, ChallengeUse),
        device: Option<Device>,
    ) -> Result<Proof, AccountError> {
        let is_trusted = first == FirstProof::Password && self.is_trusted(account, device);
        // Each mailed link works once, and the mails have a budget of their own.
        let is_counted = first == FirstProof::Password && device.is_none();
        if is_counted && account.has_factor() && !is_trusted {
            self.admit(client, Ask::Account(Budget::Challenges, account.id)).await?;
        }
        let device =
            device.map(|it| WaitingDevice { id: it.id(), is_proven: it.proof().is_some() });
        match self.sessions.enter(account, (first, purpose), is_trusted, device).await? {
            Entry::Open(proof) => Ok(proof),
            Entry::FactorRequired(required) => {
                let digest = self.chain.log_name(&account.email_normal);
                tracing::info!(
                    account = digest,
                    "the first proof is right, a second factor is required"
                );
                self.metrics.login_challenges.one(ChallengeOutcome::Issued);
                Err(AccountError::FactorRequired(required))
            }
        }
    }

    /// Whether the user proved the second factor on this device less than
    /// `factors.trust_device_ttl` ago, and neither the password nor the factors have changed since
    /// then.
    fn is_trusted(&self, account: &AccountStatus, device: Option<Device>) -> bool {
        let ttl = millis(self.config.factors.trust_device_ttl);
        device.and_then(|device| device.proof()).is_some_and(|proof| {
            let Some(since) = proof.trusted_since else { return false };
            // A time in the future was read before a clock was set back, so the age is unknown.
            let age = self.clock.now().saturating_sub(since);
            proof.session_epoch == account.session_epoch
                && proof.factor_version == account.factor_version
                && (-millis(CLOCKS_APART_MAX)..ttl).contains(&age)
        })
    }

    /// Finds out whether this is the account's first login, and whether the user gets a mail about
    /// a new device.
    ///
    /// The user gets a mail about a login on an unknown device (ASVS 6.3.5), with two exceptions:
    ///
    /// - The first login, if it comes from the network of the registration. If the first login
    ///   comes from another network, the mail is sent, because perhaps another person registered
    ///   the address.
    /// - A login to an account whose email address is not proven. Otherwise a client could register
    ///   another person's address and make the daemon send mails to that person.
    pub(super) async fn context(
        &self,
        client: &mut Client<'_>,
        account: &AccountStatus,
        known: Option<Device>,
    ) -> LoginContext {
        let first = !account.has_logged_in;
        let network = ClientKey::narrow(client.ip);
        // If the operator created the account, the network from which the user will log in is
        // unknown.
        let created_here =
            account.created_ip.parse().map_or(true, |ip| ClientKey::narrow(ip) == network);
        let is_news = known.is_none() && account.is_verified() && !(first && created_here);
        let new_device = is_news && self.config.mail.new_device && {
            let mail = Ask::Mail(Budget::NewDevices, &account.email_normal, None);
            self.admit(client, mail).await.is_ok()
        };
        LoginContext { first, new_device }
    }

    /// Confirms a change of a logged-in user, and returns the client's device if it is a known
    /// device of the account. If the account has a second factor, the route has checked a fresh
    /// proof with it, and the password is perhaps missing. A password that is sent is verified.
    pub async fn confirm_change(
        &self,
        client: &mut Client<'_>,
        principal: &Principal,
        password: Option<Secret<String>>,
        at: &'static str,
    ) -> Result<Option<Device>, AccountError> {
        match password {
            Some(password) => self.confirm(client, principal, password, at).await,
            None if principal.standing.has_factor() => {
                let ask = Ask::Account(Budget::PasswordConfirmations, principal.standing.id);
                self.admit(client, ask).await?;
                Ok(self.known_device(client, &principal.standing))
            }
            None => Err(AccountError::WrongPassword),
        }
    }

    /// Verifies the password of a logged-in user, with all limits. Returns the client's device if
    /// it is a known device of the account.
    ///
    /// The audit records a wrong password with `at`, the name of the change that the password
    /// should confirm. A right password spends one unit of the account's budget for confirmations.
    /// A new device or a new password does not refill this budget. A client with a stolen session
    /// but without the password cannot use the budget up.
    pub async fn confirm(
        &self,
        client: &mut Client<'_>,
        principal: &Principal,
        password: Secret<String>,
        at: &'static str,
    ) -> Result<Option<Device>, AccountError> {
        let account = &principal.standing;
        client.session = Some(KnownSession {
            sid: principal.session.sid.clone(),
            address: account.email_normal.clone(),
        });
        let mut attempt = self.begin(client, &account.email_normal).await?;
        self.admit_unless_device(client, &mut attempt, None).await?;
        match self.verify(client, &mut attempt, Some(account), password).await? {
            Verdict::Match | Verdict::MatchNeedsRehash => {
                let ask = Ask::Account(Budget::PasswordConfirmations, account.id);
                self.admit(client, ask).await?;
                Ok(attempt.device())
            }
            Verdict::Mismatch => {
                self.record_refused(
                    client,
                    Tried::Change(at),
                    &account.email_normal,
                    Some(account.id),
                );
                Err(AccountError::WrongPassword)
            }
        }
    }

    /// Logs and records a refused login. The log identifies the account by a keyed digest of the
    /// email address, whether or not there is an account.
    fn record_refused_login(
        &self,
        client: &Client<'_>,
        email: &EmailAddress,
        account: Option<Uuid>,
        reason: &'static str,
    ) {
        self.log_refused_login(email, reason);
        self.record_refused(client, Tried::LogIn(reason), email.normal(), account);
    }

    pub(super) fn log_refused_login(&self, email: &EmailAddress, reason: &'static str) {
        let digest = self.chain.log_name(email.normal());
        tracing::info!(account = digest, reason, "login refused");
    }

    /// Tells the session workers about a refused password, so that they record it in the audit. The
    /// response does not wait for these workers.
    pub(super) fn record_refused(
        &self,
        client: &Client<'_>,
        tried: Tried,
        address: &str,
        account: Option<Uuid>,
    ) {
        let refused = RefusedPassword {
            tried,
            address: address.to_owned(),
            account,
            client: client.ip,
            origin: client.origin.clone(),
        };
        if self.sessions.record_refused(refused).is_err() {
            self.metrics.audit_write_failures.one(());
        }
    }
}
