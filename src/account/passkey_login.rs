//! Logins by passkey: the second step of a login by password, and a login without a password.

use std::time::Duration;

use super::factor_login::proof_on_device;
use super::passkeys::Begun;
use super::{AccountError, AccountService, LoggedIn};
use crate::admission::{Action, Ask, Client};
use crate::clock::millis;
use crate::factor::passkey::{
    Assertion, Challenge, CredentialResponse, Refused, RelyingParty, check_assertion,
};
use crate::factor::passkey_table::{self, Passkey};
use crate::problem::Unavailable;
use crate::secret::{Secret, sha256};
use crate::session::account_status::StatusQuery;
use crate::session::gate::{CHALLENGE_TTL, WaitingLogin, random_challenge};
use crate::session::{AccountStatus, ChallengeUse, FirstProof, Tried};
use crate::store::{Change, Pending, PendingKey};
use crate::telemetry::labels::{Done, LoginMethod};
use crate::telemetry::typed::Outcome;
use crate::user::UserState;

/// How long a login without a password may take. A login page that offers passkeys in the field of
/// the email address waits for the user from the moment on at which it is opened.
const LOGIN_TTL: Duration = Duration::from_mins(10);

/// Why a passkey is refused that no account has, or another account.
const UNKNOWN: Refused = Refused("unknown passkey");

impl<'a> AccountService<'a> {
    /// Begins a login by passkey. `waiting` is the challenge of a login that waits for the second
    /// factor. Without it, the login needs no password, and the response says nothing about any
    /// account.
    pub async fn begin_passkey_login(
        &self,
        client: &mut Client<'_>,
        waiting: Option<Secret<String>>,
    ) -> Result<Begun<'a>, AccountError> {
        self.admit(client, Ask::Action(Action::PasskeyOptions)).await?;
        let rp = self.relying_party()?;
        if let Some(token) = waiting {
            let waiting = self.waiting(&token, ChallengeUse::Login).await?;
            let waiting = waiting.ok_or(AccountError::ChallengeInvalid)?;
            return self.ask_passkey(rp, token, waiting).await;
        }
        let challenge = Challenge::random();
        let (token, now) = (random_challenge(), self.clock.now());
        let expires_at = now + millis(LOGIN_TTL);
        let pending = Pending { value: Some(challenge.0.clone()), expires_at };
        self.store.put_pending(&login_key(&token), &pending, now).await?;
        let token = Secret::new(token);
        Ok(Begun { rp, token, challenge, passkeys: None, expires_at, lasts: LOGIN_TTL })
    }

    /// Asks for a passkey of the account whose login waits for the second factor. This replaces an
    /// earlier ceremony of the same login.
    pub(super) async fn ask_passkey(
        &self,
        rp: RelyingParty<'a>,
        token: Secret<String>,
        (login, account): (WaitingLogin, AccountStatus),
    ) -> Result<Begun<'a>, AccountError> {
        let challenge = Challenge::random();
        let passkeys = Some(self.passkeys_of(account.id).await?);
        if !self.sessions.ask_passkey(token.expose(), &challenge).await? {
            return Err(AccountError::ChallengeInvalid);
        }
        let (expires_at, lasts) = (login.expires_at, CHALLENGE_TTL);
        Ok(Begun { rp, token, challenge, passkeys, expires_at, lasts })
    }

    /// Opens a session for a passkey that its authenticator found by itself (a *discoverable*
    /// passkey). A passkey is two factors, so the session has the level `aal2`.
    pub async fn log_in_with_passkey(
        &self,
        client: &mut Client<'_>,
        token: &Secret<String>,
        response: &CredentialResponse,
    ) -> Result<LoggedIn, AccountError> {
        self.admit(client, Ask::Action(Action::PasskeyLogin)).await?;
        let result = self.log_in_now(client, token, response).await;
        let failed = result.as_ref().err().map(AccountError::code);
        self.metrics.logins.one((LoginMethod::Passkey, Outcome::of(Done::Success, failed)));
        result
    }

    async fn log_in_now(
        &self,
        client: &mut Client<'_>,
        token: &Secret<String>,
        response: &CredentialResponse,
    ) -> Result<LoggedIn, AccountError> {
        let (passkey, assertion) = self.proven(client, token, response).await?;
        let query = StatusQuery::default();
        let account = AccountStatus::by_id(self.db, passkey.factor.user_id, query).await?;
        let account = account.ok_or(AccountError::WrongProof)?;
        if account.state == UserState::Disabled {
            self.record_refused_passkey(client, &account, "disabled");
            return Err(AccountError::Disabled);
        }
        if !self.record_passkey_use(client, &passkey, assertion).await? {
            return Err(AccountError::WrongProof);
        }
        self.forget_codes(account.id).await;
        let device = self.known_device(client, &account);
        let proof = self.enter(client, &account, FirstProof::Passkey, device).await?;
        let context = self.context(client, &account, device).await;
        let tokens = self.sessions.start(client.call(), &account, proof, context).await?;
        // A login by passkey does not end the trust in the device.
        let is_proven = device.is_some_and(|it| it.proof().is_some());
        let proof = (!is_proven).then(|| proof_on_device(&account));
        let device_token = self.device_token(&account, device, proof);
        Ok(LoggedIn { tokens, device_token })
    }

    /// Checks a passkey for a login without a password, and ends the login's challenge. The passkey
    /// is read first, so the check and the end of the challenge are one atomic step.
    async fn proven(
        &self,
        client: &Client<'_>,
        token: &Secret<String>,
        response: &CredentialResponse,
    ) -> Result<(Passkey, Assertion), AccountError> {
        let rp = self.relying_party()?;
        let passkey = self.passkey_of(response).await?;
        let stored = passkey.as_ref().and_then(Passkey::stored);
        let check = |challenge: &String| {
            let stored = stored.ok_or(UNKNOWN)?;
            check_assertion(response, &Challenge(challenge.clone()), stored, true, rp)
        };
        let decide = |found: Option<&String>| match found {
            Some(challenge) => (Change::End, Some(check(challenge))),
            None => (Change::Keep, None),
        };
        let key = login_key(token.expose());
        let checked = self.store.change_pending(&key, self.clock.now(), decide).await?;
        match (passkey, checked.ok_or(AccountError::ChallengeInvalid)?) {
            (Some(passkey), Ok(assertion)) => Ok((passkey, assertion)),
            (passkey, refused) => {
                let Refused(reason) = refused.err().unwrap_or(UNKNOWN);
                let mut account = None;
                if let Some(passkey) = passkey {
                    let (id, query) = (passkey.factor.user_id, StatusQuery::default());
                    // The passkey is refused also if the account cannot be read for the audit.
                    account = AccountStatus::by_id(self.db, id, query).await.ok().flatten();
                }
                self.log_refused(account.as_ref(), "login", reason);
                if let Some(account) = account {
                    self.record_refused_passkey(client, &account, "passkey");
                }
                Err(AccountError::WrongProof)
            }
        }
    }

    /// Checks a passkey as the second factor of an account, and records its use. `challenge` is
    /// none if the client has asked for no challenge.
    pub(super) async fn accept_passkey(
        &self,
        client: &Client<'_>,
        account: &AccountStatus,
        (response, challenge, step): (&CredentialResponse, Option<&Challenge>, &'static str),
    ) -> Result<bool, Unavailable> {
        let Ok(rp) = self.relying_party() else { return Ok(false) };
        let refuse = |Refused(reason)| {
            self.log_refused(Some(account), step, reason);
            Ok(false)
        };
        let Some(challenge) = challenge else {
            return refuse(Refused("no options were requested"));
        };
        let found = self.passkey_of(response).await?;
        let Some(passkey) = found.filter(|it| it.factor.user_id == account.id) else {
            return refuse(UNKNOWN);
        };
        let checked = passkey
            .stored()
            .ok_or(UNKNOWN)
            .and_then(|stored| check_assertion(response, challenge, stored, false, rp));
        match checked {
            Ok(assertion) => self.record_passkey_use(client, &passkey, assertion).await,
            Err(refused) => refuse(refused),
        }
    }

    /// The passkey that a response names. None if the response has no valid id.
    async fn passkey_of(
        &self,
        response: &CredentialResponse,
    ) -> Result<Option<Passkey>, Unavailable> {
        let Some(id) = response.credential_id() else { return Ok(None) };
        Ok(passkey_table::find(self.db, id).await?)
    }

    /// Logs why a passkey was refused. The client does not learn the reason.
    pub(super) fn log_refused(
        &self,
        account: Option<&AccountStatus>,
        step: &'static str,
        reason: &'static str,
    ) {
        let account = account.map(|account| self.chain.log_name(&account.email_normal));
        tracing::info!(account, step, reason, "passkey refused");
    }

    /// Records the use of a passkey. Returns false if the passkey was removed in the meantime.
    async fn record_passkey_use(
        &self,
        client: &Client<'_>,
        passkey: &Passkey,
        assertion: Assertion,
    ) -> Result<bool, Unavailable> {
        let factor = &passkey.factor;
        if !passkey_table::record_use(self.db, factor.id, assertion, self.clock.now()).await? {
            return Ok(false);
        }
        if passkey.counter_fell(assertion) {
            let of = (factor.user_id, factor.id);
            self.accounts.record_counter_fell(client.call(), of).await?;
        }
        Ok(true)
    }

    fn record_refused_passkey(
        &self,
        client: &Client<'_>,
        account: &AccountStatus,
        reason: &'static str,
    ) {
        let tried = Tried::LogIn(reason);
        self.record_refused(client, tried, &account.email_normal, Some(account.id));
    }
}

fn login_key(token: &str) -> PendingKey {
    PendingKey::PasskeyLogin(sha256(token.as_bytes()))
}
