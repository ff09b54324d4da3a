//! The second step of a login, and the step-up of a session (RFC 9470).

use super::codes::{CodePoint, FactorCode};
use super::{AccountError, AccountService, LoggedIn};
use crate::admission::{Action, Ask, AttemptClient, Client, Device, DeviceTrust};
use crate::secret::Secret;
use crate::session::account_status::StatusQuery;
use crate::session::proof::{level, renew};
use crate::session::{AccountStatus, FirstProof, LoginContext, Principal, Proof, Tokens};
use crate::telemetry::labels::ChallengeOutcome;
use crate::user::UserState;

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
}

impl AccountService<'_> {
    /// Completes a login with a code of the second factor, and opens a session.
    pub async fn log_in_with_code(
        &self,
        client: &mut Client<'_>,
        challenge: &Secret<String>,
        code: &FactorCode,
        trust: TrustDevice,
    ) -> Result<LoggedIn, AccountError> {
        let result = self.complete(client, challenge, code, trust).await;
        let outcome = match &result {
            Ok(_) => ChallengeOutcome::Completed,
            Err(AccountError::WrongCode) => ChallengeOutcome::WrongCode,
            Err(AccountError::ChallengeInvalid) => ChallengeOutcome::Ended,
            Err(AccountError::Limited(_)) => ChallengeOutcome::Limited,
            Err(_) => return result,
        };
        self.metrics.login_challenges.one(outcome);
        result
    }

    async fn complete(
        &self,
        client: &mut Client<'_>,
        challenge: &Secret<String>,
        code: &FactorCode,
        trust: TrustDevice,
    ) -> Result<LoggedIn, AccountError> {
        self.admit(client, Ask::Action(Action::LoginFactor)).await?;
        let challenge = challenge.expose();
        let found = self.sessions.challenge(challenge).await?.filter(|it| !it.is_spent());
        let Some(found) = found else { return Err(AccountError::ChallengeInvalid) };
        let query = StatusQuery::default();
        let account = AccountStatus::by_id(self.db, found.user_id, query).await?;
        let is_unchanged =
            |it: &AccountStatus| it.state == UserState::Active && found.holds_for(it);
        let Some(account) = account.filter(is_unchanged) else {
            return Err(AccountError::ChallengeInvalid);
        };
        let whose = (account.id, account.password_version);
        let device = found.device_id.as_deref().and_then(|id| Device::known(id, whose));
        let who = device.map_or(AttemptClient::Anonymous(client.ip), AttemptClient::Device);
        self.check_code(client, (&account, &who), CodePoint::Login(challenge), code).await?;
        if !self.sessions.end_challenge(challenge).await? {
            return Err(AccountError::ChallengeInvalid);
        }
        let context = match found.first {
            FirstProof::Password => self.context(client, &account, device).await,
            FirstProof::Mail => LoginContext::default(),
        };
        let proof = Proof::of_code(found.first.amr(), code.method);
        let tokens = self.sessions.start(client.call(), &account, proof, context).await?;
        let trust = (trust == TrustDevice::Yes).then(|| DeviceTrust {
            since: self.clock.now(),
            session_epoch: account.session_epoch,
            factor_version: account.factor_version,
        });
        let device_token = self.device_token(&account, device, trust);
        Ok(LoggedIn { tokens, device_token })
    }

    /// Proves the user again in a live session. Returns tokens of this session with the new proof.
    /// A proof below the level of the session changes nothing.
    pub async fn step_up(
        &self,
        client: &mut Client<'_>,
        Principal { session, standing }: Principal,
        proof: StepUp,
    ) -> Result<Tokens, AccountError> {
        let proof = match proof {
            StepUp::Password(password) => {
                let principal = Principal { session: session.clone(), standing: standing.clone() };
                self.confirm(client, &principal, password, "step-up").await?;
                Proof::of_first(FirstProof::Password)
            }
            StepUp::Code(code) => {
                let who = AttemptClient::Session(session.sid.clone());
                self.check_code(client, (&standing, &who), CodePoint::StepUp, &code).await?;
                Proof::of_code(session.amr.first().map_or("", String::as_str), code.method)
            }
        };
        let now = self.clock.now();
        let change = |it: &mut crate::store::Session| {
            renew(it, (level(it, &standing), &proof), now);
        };
        let session = self.store.set_session_proof(&session, now, change).await?;
        let session = session.ok_or(AccountError::SessionGone)?;
        Ok(self.sessions.tokens(&session, &standing)?)
    }
}
