//! The factors of an account: adding, confirming, renaming and removing them, and the recovery
//! codes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::factor_changes::{Added, NewFactor, Removed};
use super::{AccountError, AccountOwner, AccountService};
use crate::admission::Client;
use crate::clock::{UnixMillis, millis};
use crate::factor::recovery_code::{CODES, RecoveryCode};
use crate::factor::totp::TotpSecret;
use crate::factor::{FACTORS_MAX, Factor, FactorKind, FactorMethod, table};
use crate::problem::Unavailable;
use crate::secret::{KeyError, Secret, uuid_v7};
use crate::session::proof::{level, renew};
use crate::session::{Principal, Proof, Tokens};
use crate::store::{Change, Pending, PendingKey};
use crate::telemetry::labels::{CodeStage, EndReason, FactorChange, FactorKindLabel};

/// How long a new authenticator app can be confirmed.
const ENROLMENT_TTL: std::time::Duration = std::time::Duration::from_mins(10);
/// After this many wrong codes, the new authenticator app can no longer be confirmed.
const WRONG_CODES_MAX: u32 = 10;

/// The factors of an account.
#[derive(Debug)]
pub struct Factors {
    pub items: Vec<Factor>,
    pub recovery_codes_left: u64,
}

/// An authenticator app that waits for its confirmation.
#[derive(Debug)]
pub struct NewTotp {
    pub id: Uuid,
    /// The secret in base32.
    pub secret: Secret<String>,
    /// The URI for the QR code. It contains the secret.
    pub uri: Secret<String>,
    pub expires_at: UnixMillis,
}

/// A factor that was confirmed.
#[derive(Debug)]
pub struct ConfirmedFactor {
    pub factor: Factor,
    /// The recovery codes, which only the first factor brings.
    pub recovery_codes: Option<Vec<RecoveryCode>>,
    pub tokens: Tokens,
}

/// The record of an authenticator app that waits for its confirmation.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Enrolment {
    id: Uuid,
    /// Only the session that began to add the app can confirm it.
    sid: String,
    name: String,
    /// The encrypted secret in base64.
    sealed: String,
    /// The number of wrong codes.
    wrong: u32,
}

impl AccountService<'_> {
    /// The factors of a user.
    pub async fn factors(&self, user_id: Uuid) -> Result<Factors, AccountError> {
        let items = table::of_user(self.db.reader(), user_id).await?;
        let recovery_codes_left = table::codes_left(self.db.reader(), user_id).await?;
        Ok(Factors { items, recovery_codes_left })
    }

    /// Begins to add an authenticator app. It replaces an app that waits for its confirmation.
    pub async fn begin_totp(
        &self,
        Principal { session, standing, .. }: &Principal,
        name: String,
    ) -> Result<NewTotp, AccountError> {
        let factors = table::of_user(self.db.reader(), standing.id).await?;
        let others = factors.iter().filter(|it| it.kind != FactorKind::Totp).count();
        if u64::try_from(others).unwrap_or(u64::MAX) >= FACTORS_MAX {
            return Err(AccountError::TooManyFactors);
        }
        let now = self.clock.now();
        let (id, secret) = (uuid_v7(now), TotpSecret::random());
        let sealed = secret.seal(&self.keys.current().factors, id).map_err(no_key)?;
        let (sid, sealed) = (session.sid.clone(), STANDARD.encode(sealed));
        let enrolment = Enrolment { id, sid, name, sealed, wrong: 0 };
        let expires_at = now + millis(ENROLMENT_TTL);
        let pending = Pending { value: Some(enrolment), expires_at };
        self.store.put_pending(&PendingKey::Enrolment(standing.id), &pending, now).await?;
        let uri = secret.uri(&self.config.webauthn.rp_name, &standing.email);
        Ok(NewTotp { id, secret: secret.to_base32(), uri, expires_at })
    }

    /// Confirms an authenticator app with its first code. The session of the request then counts as
    /// authenticated with two factors. The first factor of an account ends every other session.
    pub async fn confirm_totp(
        &self,
        client: &Client<'_>,
        principal: Principal,
        id: Uuid,
        code: &Secret<String>,
    ) -> Result<ConfirmedFactor, AccountError> {
        let user_id = principal.standing.id;
        let (keys, now) = (self.keys.current().factors.clone(), self.clock.now());
        let enrolment = self.spend_enrolment(&principal, id).await?;
        let Enrolment { name, sealed, .. } = enrolment.ok_or(AccountError::NoSuchFactor)?;
        let sealed = STANDARD.decode(sealed).map_err(no_key)?;
        let secret = TotpSecret::open(&keys, id, &sealed).map_err(no_key)?;
        let Some(last_step) = secret.check(code, now) else {
            self.count_wrong_code(FactorMethod::Totp, CodeStage::Enrolment);
            return Err(AccountError::WrongFirstCode);
        };
        let totp = (FactorKind::Totp, name);
        let factor = Factor { sealed, last_step, ..Factor::new(id, user_id, totp, now) };
        let confirmed = self.put_in_force(client, principal, factor).await?;
        let end = |found: Option<&Enrolment>| match found {
            Some(it) if it.id == id => (Change::End, ()),
            _ => (Change::Keep, ()),
        };
        if let Err(error) =
            self.store.change_pending(&PendingKey::Enrolment(user_id), now, end).await
        {
            tracing::warn!(
                error = %error,
                "cannot delete the record of a confirmed factor: it expires within 10 minutes"
            );
        }
        Ok(confirmed)
    }

    /// Adds a factor that the user has confirmed with a first right code or passkey.
    pub(super) async fn put_in_force(
        &self,
        client: &Client<'_>,
        mut principal: Principal,
        factor: Factor,
    ) -> Result<ConfirmedFactor, AccountError> {
        let kind = factor.kind;
        let (codes, digests) = self.random_codes(principal.standing.id);
        let new = NewFactor { factor, digests };
        let owner = AccountOwner::of(&principal);
        let added = self.accounts.add_factor(client.call(), owner, new).await?;
        let (factor, epoch, count, version) = match added {
            Added::Now { factor, epoch, count, version } => (*factor, epoch, count, version),
            Added::TooMany => return Err(AccountError::TooManyFactors),
            Added::Taken => return Err(AccountError::PasskeyTaken),
            Added::Gone => return Err(AccountError::NoSuchFactor),
        };
        self.deliveries.wake();
        self.metrics.factor_changes.one((label(kind), FactorChange::Added));
        (principal.standing.factor_count, principal.standing.factor_version) = (count, version);
        let tokens = self.raise(principal, kind.into(), epoch).await?;
        Ok(ConfirmedFactor { factor, recovery_codes: epoch.is_some().then_some(codes), tokens })
    }

    /// Creates recovery codes for a user. Returns them with their digests.
    fn random_codes(&self, user_id: Uuid) -> (Vec<RecoveryCode>, Vec<String>) {
        let keys = &self.keys.current().factors;
        let codes: Vec<RecoveryCode> = (0..CODES).map(|_| RecoveryCode::random()).collect();
        let digests = codes.iter().map(|code| code.digest(keys, user_id)).collect();
        (codes, digests)
    }

    /// Raises a session after a new factor was confirmed in it. If the factor is the first one of
    /// the account, `epoch` is the account's new epoch, and every other session has ended.
    async fn raise(
        &self,
        Principal { session, standing, replaced_token }: Principal,
        method: FactorMethod,
        epoch: Option<i32>,
    ) -> Result<Tokens, AccountError> {
        let now = self.clock.now();
        let first = session.amr.first().map_or("", String::as_str);
        let proof = Proof::of_factor(first, method);
        let seen = standing.session_epoch;
        let change = |it: &mut crate::store::Session| {
            // A session that has ended in the meantime keeps its epoch, so that it stays ended.
            if it.epoch == seen {
                it.epoch = epoch.unwrap_or(seen);
            }
            renew(it, (level(it, &standing), &proof), now);
        };
        let session = self.store.set_session_proof(&session, now, change).await?;
        let session = session.ok_or(AccountError::SessionGone)?;
        if epoch.is_some() {
            let (user_id, reason) = (standing.id, EndReason::FactorAdded);
            self.delete_ended_sessions(user_id, Some(&session.sid), reason).await;
        }
        Ok(self.sessions.tokens_for(replaced_token, session, &standing)?)
    }

    /// Counts a code for an authenticator app that waits for its confirmation, before the code is
    /// checked. Returns none if this session has no such app.
    async fn spend_enrolment(
        &self,
        Principal { session, standing, .. }: &Principal,
        id: Uuid,
    ) -> Result<Option<Enrolment>, Unavailable> {
        let decide = |found: Option<&Enrolment>| match found {
            Some(it) if it.id == id && it.sid == session.sid && it.wrong < WRONG_CODES_MAX => {
                let counted = Enrolment { wrong: it.wrong + 1, ..it.clone() };
                (Change::Set(counted), Some(it.clone()))
            }
            _ => (Change::Keep, None),
        };
        let key = PendingKey::Enrolment(standing.id);
        self.store.change_pending(&key, self.clock.now(), decide).await
    }

    pub async fn rename_factor(
        &self,
        client: &Client<'_>,
        (principal, id): (&Principal, Uuid),
        name: String,
    ) -> Result<Factor, AccountError> {
        let of = (AccountOwner::of(principal), id);
        let renamed = self.accounts.rename_factor(client.call(), of, name).await?;
        renamed.ok_or(AccountError::NoSuchFactor)
    }

    /// Removes a factor. The last factor takes the recovery codes with it.
    pub async fn remove_factor(
        &self,
        client: &Client<'_>,
        (principal, id): (&Principal, Uuid),
    ) -> Result<(), AccountError> {
        match self.accounts.remove_factor(client.call(), (AccountOwner::of(principal), id)).await? {
            Removed::Now(kind) => {
                self.metrics.factor_changes.one((label(kind), FactorChange::Removed));
            }
            Removed::Gone => return Err(AccountError::NoSuchFactor),
        }
        self.deliveries.wake();
        Ok(())
    }

    /// Replaces the recovery codes by new ones.
    pub async fn new_recovery_codes(
        &self,
        client: &Client<'_>,
        principal: &Principal,
    ) -> Result<Vec<RecoveryCode>, AccountError> {
        let (codes, digests) = self.random_codes(principal.standing.id);
        if !self
            .accounts
            .replace_recovery_codes(client.call(), AccountOwner::of(principal), digests)
            .await?
        {
            return Err(AccountError::NoFactor);
        }
        self.deliveries.wake();
        Ok(codes)
    }
}

const fn label(kind: FactorKind) -> FactorKindLabel {
    match kind {
        FactorKind::Totp => FactorKindLabel::Totp,
        FactorKind::Passkey => FactorKindLabel::Passkey,
    }
}

/// The key of second factors cannot encrypt or decrypt a secret.
fn no_key<E>(_: E) -> Unavailable {
    Unavailable::because("factor key", KeyError)
}
