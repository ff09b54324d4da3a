//! Ceremonies of passkeys: their beginning, and adding a passkey to an account.
//!
//! A ceremony begins with two random values. The *token* names the ceremony in the API, and the
//! token store finds the ceremony by its SHA-256. The *challenge* is what the passkey signs. A
//! ceremony in a session belongs to this session and can be used once. A new one replaces it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::factors::ConfirmedFactor;
use super::{AccountError, AccountService};
use crate::admission::{Action, Ask, Client};
use crate::clock::{UnixMillis, millis};
use crate::factor::passkey::{Challenge, CredentialResponse, RelyingParty, check_registration};
use crate::factor::{FACTORS_MAX, Factor, FactorKind, passkey_table, table};
use crate::problem::Unavailable;
use crate::secret::{Secret, equal, sha256, uuid_v7};
use crate::session::Principal;
use crate::session::gate::random_challenge;
use crate::store::{Change, Pending, PendingKey};

/// How long a passkey can be added after the ceremony has begun.
const ENROLMENT_TTL: Duration = Duration::from_mins(10);
/// How long a step-up by passkey may take.
const STEP_UP_TTL: Duration = Duration::from_mins(5);

/// A ceremony that has begun.
#[derive(Debug)]
pub struct Begun<'a> {
    pub rp: RelyingParty<'a>,
    /// The name of the ceremony in the API.
    pub token: Secret<String>,
    /// What the passkey signs.
    pub challenge: Challenge,
    /// The passkeys of the account: in a registration those that may not be added again, otherwise
    /// those that may sign. None if the account is unknown.
    pub passkeys: Option<Vec<Factor>>,
    pub expires_at: UnixMillis,
    /// How long the ceremony may take.
    pub lasts: Duration,
}

/// A registration that has begun.
#[derive(Debug)]
pub struct NewPasskey<'a> {
    pub begun: Begun<'a>,
    /// The bytes by which authenticators recognise the account.
    pub user_handle: Vec<u8>,
    pub email: String,
    pub name: String,
}

/// The record of a ceremony that a session has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ceremony {
    /// The SHA-256 of the token.
    digest: String,
    challenge: String,
}

impl<'a> AccountService<'a> {
    /// The installation to which passkeys belong.
    ///
    /// # Errors
    /// [`AccountError::PasskeysOff`] where `public_url` is the IP address of another machine.
    pub(super) fn relying_party(&self) -> Result<RelyingParty<'a>, AccountError> {
        let id = self.config.passkey_domain().ok_or(AccountError::PasskeysOff)?;
        let webauthn = &self.config.webauthn;
        Ok(RelyingParty { id, name: &webauthn.rp_name, origins: &webauthn.origins })
    }

    /// Begins to add a passkey.
    pub async fn begin_passkey(
        &self,
        client: &mut Client<'_>,
        principal: &Principal,
    ) -> Result<NewPasskey<'a>, AccountError> {
        self.admit(client, Ask::Action(Action::PasskeyOptions)).await?;
        let rp = self.relying_party()?;
        let account = &principal.standing;
        let factors = table::of_user(self.db.reader(), account.id).await?;
        if u64::try_from(factors.len()).unwrap_or(u64::MAX) >= FACTORS_MAX {
            return Err(AccountError::TooManyFactors);
        }
        let user_handle = passkey_table::handle_of(self.db, account.id).await?;
        let passkeys = Some(passkey_table::among(factors));
        let key = enrolment_key(principal);
        let begun = self.begin_ceremony((rp, passkeys), &key, ENROLMENT_TTL).await?;
        let (email, name) = (account.email.clone(), account.name.clone());
        Ok(NewPasskey { begun, user_handle, email, name })
    }

    /// Adds a passkey. The session of the request then counts as authenticated with two factors.
    /// The first factor of an account ends every other session.
    pub async fn add_passkey(
        &self,
        client: &Client<'_>,
        principal: Principal,
        (token, name): (&Secret<String>, String),
        response: &CredentialResponse,
    ) -> Result<ConfirmedFactor, AccountError> {
        let rp = self.relying_party()?;
        let challenge = self.take_ceremony(&enrolment_key(&principal), token).await?;
        let challenge = challenge.ok_or(AccountError::EnrolmentInvalid)?;
        let registered = check_registration(response, &challenge, rp).map_err(|refused| {
            self.log_refused(Some(&principal.standing), "registration", refused.0);
            AccountError::WrongNewPasskey
        })?;
        let (now, user_id) = (self.clock.now(), principal.standing.id);
        let base = Factor::new(uuid_v7(now), user_id, (FactorKind::Passkey, name), now);
        self.put_in_force(client, principal, passkey_table::row(base, registered)).await
    }

    /// Begins a step-up by passkey.
    pub async fn begin_passkey_step_up(
        &self,
        client: &mut Client<'_>,
        principal: &Principal,
    ) -> Result<Begun<'a>, AccountError> {
        self.admit(client, Ask::Action(Action::PasskeyOptions)).await?;
        let rp = self.relying_party()?;
        let passkeys = Some(self.passkeys_of(principal.standing.id).await?);
        self.begin_ceremony((rp, passkeys), &step_up_key(principal), STEP_UP_TTL).await
    }

    /// The passkeys of an account.
    ///
    /// # Errors
    /// [`AccountError::NoPasskey`] if there are none.
    pub(super) async fn passkeys_of(&self, user: uuid::Uuid) -> Result<Vec<Factor>, AccountError> {
        let passkeys = passkey_table::among(table::of_user(self.db.reader(), user).await?);
        if passkeys.is_empty() { Err(AccountError::NoPasskey) } else { Ok(passkeys) }
    }

    async fn begin_ceremony(
        &self,
        (rp, passkeys): (RelyingParty<'a>, Option<Vec<Factor>>),
        key: &PendingKey,
        lasts: Duration,
    ) -> Result<Begun<'a>, AccountError> {
        let (token, challenge, now) = (random_challenge(), Challenge::random(), self.clock.now());
        let (digest, expires_at) = (sha256(token.as_bytes()), now + millis(lasts));
        let value = Some(Ceremony { digest, challenge: challenge.0.clone() });
        self.store.put_pending(key, &Pending { value, expires_at }, now).await?;
        Ok(Begun { rp, token: Secret::new(token), challenge, passkeys, expires_at, lasts })
    }

    /// Ends a ceremony of a session, and returns its challenge. None if the session has begun no
    /// ceremony with this token.
    pub(super) async fn take_ceremony(
        &self,
        key: &PendingKey,
        token: &Secret<String>,
    ) -> Result<Option<Challenge>, Unavailable> {
        let digest = sha256(token.expose().as_bytes());
        let decide = |found: Option<&Ceremony>| match found {
            Some(it) if equal(it.digest.as_bytes(), digest.as_bytes()) => {
                (Change::End, Some(Challenge(it.challenge.clone())))
            }
            _ => (Change::Keep, None),
        };
        self.store.change_pending(key, self.clock.now(), decide).await
    }
}

fn enrolment_key(Principal { session, standing, .. }: &Principal) -> PendingKey {
    PendingKey::PasskeyEnrolment(standing.id, session.sid.clone())
}

pub(super) fn step_up_key(Principal { session, standing, .. }: &Principal) -> PendingKey {
    PendingKey::PasskeyStepUp(standing.id, session.sid.clone())
}
