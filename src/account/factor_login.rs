//! The second step of a login, the same step on a page that opens no session, and the step-up of a
//! session (RFC 9470).

use super::codes::{FactorCode, FactorProof, ProofPoint};
use super::passkeys::{Begun, step_up_key};
use super::{AccountError, AccountService, LoggedIn, ProvenUser};
use crate::admission::{Action, Ask, AttemptClient, Client, Device, DeviceProof};
use crate::factor::passkey::{self, CredentialResponse};
use crate::factor::{FactorMethod, table};
use crate::secret::Secret;
use crate::session::account_status::StatusQuery;
use crate::session::gate::WaitingLogin;
use crate::session::proof::{level, renew};
use crate::session::{
    AccountStatus, ChallengeUse, FirstProof, LoginContext, Principal, Proof, Tokens,
};
use crate::telemetry::labels::ChallengeOutcome;
use crate::user::{EmailAddress, UserState};

/// Whether the user wants to trust the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustDevice {
    Yes,
    No,
}

/// The proof of a step-up.
#[derive(Clone, Debug)]
pub enum StepUp {
    Password(Secret<String>),
    Code(FactorCode),
    /// A passkey, with the challenge of [`AccountService::begin_passkey_step_up`].
    Passkey(Secret<String>, Box<CredentialResponse>),
}

/// A user whose second factor was right.
#[derive(Debug)]
struct Completed {
    account: AccountStatus,
    device: Option<Device>,
    first: FirstProof,
    proof: Proof,
}

/// The second step of a login on a page.
#[derive(Debug)]
pub struct SecondStep<'a> {
    /// The methods that the account has.
    pub methods: Vec<FactorMethod>,
    /// The ceremony for the account's passkeys. None if the account has none, or passkeys are off.
    pub passkey: Option<Begun<'a>>,
}

/// Returns the proof of a second factor on a device that is not trusted. The proof ends when the
/// factors of the account change.
pub(super) fn proof_on_device(account: &AccountStatus) -> DeviceProof {
    let AccountStatus { session_epoch, factor_version, .. } = *account;
    DeviceProof { trusted_since: None, session_epoch, factor_version }
}

impl<'a> AccountService<'a> {
    /// Completes a login with a second factor, and opens a session.
    pub async fn log_in_with_factor(
        &self,
        client: &mut Client<'_>,
        challenge: &Secret<String>,
        factor: &FactorProof,
        trust: TrustDevice,
    ) -> Result<LoggedIn, AccountError> {
        self.admit(client, Ask::Action(Action::LoginFactor)).await?;
        let waiting = self.waiting(challenge, ChallengeUse::Login).await?;
        let completed = self.complete(client, challenge, waiting, factor).await?;
        let Completed { account, device, first, proof } = completed;
        let context = match first {
            FirstProof::Password => self.context(client, &account, device).await,
            FirstProof::Mail | FirstProof::Passkey => LoginContext::default(),
        };
        let started = self.sessions.start(client.call(), &account, proof, context).await;
        if started.is_err() {
            self.give_code_back(account.id, Some(factor)).await;
        }
        let tokens = started?;
        let trusted_since = (trust == TrustDevice::Yes).then(|| self.clock.now());
        let proof = DeviceProof { trusted_since, ..proof_on_device(&account) };
        let device_token = self.device_token(&account, device, Some(proof));
        Ok(LoggedIn { tokens, device_token })
    }

    /// Completes [`AccountService::check_password`] for this email address with a second factor,
    /// with the limits of a login. Opens no session.
    pub async fn check_second_factor(
        &self,
        client: &mut Client<'_>,
        email: &EmailAddress,
        challenge: &Secret<String>,
        factor: &FactorProof,
    ) -> Result<ProvenUser, AccountError> {
        self.admit(client, Ask::Action(Action::LoginFactor)).await?;
        let waiting = self.waiting(challenge, ChallengeUse::Page).await?;
        let waiting = waiting.filter(|(_, account)| account.email_normal == email.normal());
        let completed = self.complete(client, challenge, waiting, factor).await?;
        Ok(ProvenUser { account: completed.account, proof: completed.proof })
    }

    /// What a page asks for to complete a challenge. `None` if the challenge has ended.
    pub async fn second_step(
        &self,
        challenge: &Secret<String>,
    ) -> Result<Option<SecondStep<'a>>, AccountError> {
        let Some(waiting) = self.waiting(challenge, ChallengeUse::Page).await? else {
            return Ok(None);
        };
        let (db, passkeys) = (self.db.reader(), self.config.passkeys());
        let methods = table::methods(db, waiting.1.id, passkeys).await?;
        if !methods.contains(&FactorMethod::Passkey) {
            return Ok(Some(SecondStep { methods, passkey: None }));
        }
        match self.ask_passkey(self.relying_party()?, challenge.clone(), waiting).await {
            Ok(begun) => Ok(Some(SecondStep { methods, passkey: Some(begun) })),
            Err(AccountError::ChallengeInvalid) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The challenge and its account. `None` if the challenge is for another use or has ended.
    pub(super) async fn waiting(
        &self,
        challenge: &Secret<String>,
        purpose: ChallengeUse,
    ) -> Result<Option<(WaitingLogin, AccountStatus)>, AccountError> {
        let found = self.sessions.challenge(challenge.expose()).await?;
        let found = found.filter(|it| !it.is_spent() && it.purpose == purpose);
        let Some(found) = found else { return Ok(None) };
        let query = StatusQuery::default();
        let account = AccountStatus::by_id(self.db, found.user_id, query).await?;
        let is_unchanged =
            |it: &AccountStatus| it.state == UserState::Active && found.holds_for(it);
        Ok(account.filter(is_unchanged).map(|account| (found, account)))
    }

    /// Checks a second factor for a challenge, ends the challenge and counts the outcome. `waiting`
    /// is none if the challenge is not valid.
    async fn complete(
        &self,
        client: &Client<'_>,
        challenge: &Secret<String>,
        waiting: Option<(WaitingLogin, AccountStatus)>,
        factor: &FactorProof,
    ) -> Result<Completed, AccountError> {
        let result = match waiting {
            Some(waiting) => self.use_challenge(client, challenge.expose(), waiting, factor).await,
            None => Err(AccountError::ChallengeInvalid),
        };
        let outcome = match &result {
            Ok(_) => ChallengeOutcome::Completed,
            Err(AccountError::WrongProof) => ChallengeOutcome::WrongCode,
            Err(AccountError::ChallengeInvalid) => ChallengeOutcome::Ended,
            Err(AccountError::Limited(_)) => ChallengeOutcome::Limited,
            Err(_) => return result,
        };
        self.metrics.login_challenges.one(outcome);
        result
    }

    async fn use_challenge(
        &self,
        client: &Client<'_>,
        challenge: &str,
        (found, account): (WaitingLogin, AccountStatus),
        factor: &FactorProof,
    ) -> Result<Completed, AccountError> {
        let whose = (account.id, account.password_version);
        let device = found.device.as_ref().and_then(|device| {
            let proof = device.is_proven.then(|| proof_on_device(&account));
            Device::known(&device.id, whose, proof)
        });
        let who = device.map_or(AttemptClient::Anonymous(client.ip), AttemptClient::Device);
        let passkey = found.passkey();
        let at = ProofPoint { login: Some(challenge), level: None, passkey };
        self.check_factor(client, (&account, &who), at, factor).await?;
        let ended = self.sessions.end_challenge(challenge).await;
        if !matches!(ended, Ok(true)) {
            self.give_code_back(account.id, Some(factor)).await;
        }
        if !ended? {
            return Err(AccountError::ChallengeInvalid);
        }
        let proof = Proof::of_factor(found.first.amr(), factor.method());
        Ok(Completed { account, device, first: found.first, proof })
    }

    /// Proves the user again in a live session. Returns tokens of this session with the new proof.
    /// A proof below the level of the session changes nothing.
    pub async fn step_up(
        &self,
        client: &mut Client<'_>,
        principal: Principal,
        proof: StepUp,
    ) -> Result<Tokens, AccountError> {
        let method = match &proof {
            StepUp::Password(_) => "password",
            StepUp::Code(code) => code.method.name(),
            StepUp::Passkey(..) => FactorMethod::Passkey.name(),
        };
        let (factor, passkey) = match proof {
            StepUp::Password(password) => {
                self.confirm(client, &principal, password, "step-up").await?;
                (None, None)
            }
            StepUp::Code(code) => (Some(FactorProof::Code(code)), None),
            StepUp::Passkey(challenge, response) => {
                let key = step_up_key(&principal);
                let passkey = self.take_ceremony(&key, &challenge).await?;
                let passkey = passkey.ok_or(AccountError::ChallengeInvalid)?;
                (Some(FactorProof::Passkey(response)), Some(passkey))
            }
        };
        let proof = match &factor {
            Some(factor) => self.check_step_up(client, &principal, factor, passkey).await?,
            None => Proof::of_first(FirstProof::Password),
        };
        let user_id = principal.standing.id;
        let raised = self.write_step_up(client, principal, (method, &proof)).await;
        if raised.is_err() {
            self.give_code_back(user_id, factor.as_ref()).await;
        }
        raised
    }

    /// Writes the new proof to the session. The audit event is written first, so that no session
    /// has a proof without it.
    async fn write_step_up(
        &self,
        client: &Client<'_>,
        Principal { session, standing, replaced_token }: Principal,
        (method, proof): (&'static str, &Proof),
    ) -> Result<Tokens, AccountError> {
        self.accounts.record_step_up(client.call(), standing.id, method).await?;
        let now = self.clock.now();
        let change = |it: &mut crate::store::Session| {
            renew(it, (level(it, &standing), proof), now);
        };
        let session = self.store.set_session_proof(&session, now, change).await?;
        let session = session.ok_or(AccountError::SessionGone)?;
        Ok(self.sessions.tokens_for(replaced_token, session, &standing)?)
    }

    async fn check_step_up(
        &self,
        client: &Client<'_>,
        Principal { session, standing, .. }: &Principal,
        factor: &FactorProof,
        passkey: Option<passkey::Challenge>,
    ) -> Result<Proof, AccountError> {
        let who = AttemptClient::Session(session.sid.clone());
        let level = Some(level(session, standing));
        let at = ProofPoint { login: None, level, passkey };
        self.check_factor(client, (standing, &who), at, factor).await?;
        let first = session.amr.first().map_or("", String::as_str);
        Ok(Proof::of_factor(first, factor.method()))
    }
}
