//! The gate of logins. Each login goes through [`Sessions::enter`]. If the account has a second
//! factor, the result is a challenge instead of a session.
//!
//! While a login waits for its second factor there is no session, no token and no known device. The
//! challenge is an opaque text that only the route for the second factor accepts. The token store
//! has its SHA-256.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{AccountStatus, LoginContext, Proof, Sessions, Tokens, issue};
use crate::audit::RequestOrigin;
use crate::clock::{UnixMillis, millis};
use crate::factor::{FactorMethod, passkey, table};
use crate::problem::Unavailable;
use crate::secret::{Secret, random_id, sha256};
use crate::store::{Change, Pending, PendingKey};

/// How long a login waits for the second factor.
pub const CHALLENGE_TTL: Duration = Duration::from_mins(5);

/// The number of wrong proofs after which a challenge ends.
const PROOFS_MAX: u32 = 5;

/// The first proof of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstProof {
    Password,
    /// A link in a mail.
    Mail,
    /// A passkey, which is two factors by itself.
    Passkey,
}

/// What a challenge is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChallengeUse {
    /// The second factor opens a session.
    Login,
    /// The second factor confirms one action on a page, without a session.
    Page,
}

/// The known device of a login that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingDevice {
    pub id: String,
    /// Whether the user has proven a second factor on this device before.
    pub is_proven: bool,
}

/// A login that waits for the second factor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingLogin {
    pub user_id: Uuid,
    /// The versions of the password and of the factors at the first proof. If one of them changes,
    /// the challenge ends.
    password_version: i32,
    factor_version: i32,
    /// The epoch of the account's sessions at the first proof. If all sessions end, the challenge
    /// ends too.
    session_epoch: i32,
    pub first: FirstProof,
    pub purpose: ChallengeUse,
    /// The known device that sent the first proof. The store has no device token, because a copy of
    /// the store must not make a client known.
    pub device: Option<WaitingDevice>,
    /// The challenge that a passkey signs. None until the client asks for it. A new one replaces
    /// the one before.
    passkey: Option<String>,
    pub expires_at: UnixMillis,
    /// The number of proofs that were checked, or that are being checked.
    spent: u32,
}

impl std::fmt::Debug for WaitingLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WaitingLogin(…)")
    }
}

/// The challenge that the client gets.
#[derive(Clone, Debug)]
pub struct FactorRequired {
    pub challenge: Secret<String>,
    /// The methods by which this account can prove a second factor.
    pub methods: Vec<FactorMethod>,
    pub expires_at: UnixMillis,
}

/// The result of a first proof.
#[derive(Debug)]
pub enum Entry {
    /// The login needs no second factor. The session may be opened.
    Open(Proof),
    FactorRequired(FactorRequired),
}

impl Sessions {
    /// Decides whether a login needs a second factor, after the first proof was right. `is_trusted`
    /// says whether the user trusts the device. A page that confirms an action with the password
    /// uses this function too.
    pub async fn enter(
        &self,
        account: &AccountStatus,
        (first, purpose): (FirstProof, ChallengeUse),
        is_trusted: bool,
        device: Option<WaitingDevice>,
    ) -> Result<Entry, Unavailable> {
        if !account.has_factor() || is_trusted || first == FirstProof::Passkey {
            return Ok(Entry::Open(Proof::of_first(first)));
        }
        let issuer = self.issuer();
        let methods = table::methods(issuer.db.reader(), account.id, issuer.passkeys).await?;
        let now = issuer.clock.now();
        let (token, expires_at) = (random_challenge(), now + millis(CHALLENGE_TTL));
        let challenge = WaitingLogin {
            user_id: account.id,
            password_version: account.password_version,
            factor_version: account.factor_version,
            session_epoch: account.session_epoch,
            first,
            purpose,
            device,
            passkey: None,
            expires_at,
            spent: 0,
        };
        let pending = Pending { value: Some(challenge), expires_at };
        issuer.store.put_pending(&key_of(&token), &pending, now).await?;
        let challenge = Secret::new(token);
        Ok(Entry::FactorRequired(FactorRequired { challenge, methods, expires_at }))
    }

    /// Opens a session of an account and creates its tokens. [`Sessions::enter`] or a right second
    /// factor gives the proof.
    pub async fn start(
        &self,
        call: (Instant, RequestOrigin),
        account: &AccountStatus,
        proof: Proof,
        context: LoginContext,
    ) -> Result<Tokens, Unavailable> {
        let issuer = self.issuer();
        let (ip, user_agent) = (call.1.ip.clone(), call.1.user_agent.clone());
        let (now, series) = (issuer.clock.now(), proof.series());
        let session = issue::new_session(account, &issuer.sessions, proof, ip, user_agent, now);
        self.open(call, session.clone(), context).await?;
        issuer.metrics.sessions_opened.one(series);
        if context.new_device {
            issuer.deliveries.wake();
        }
        self.tokens(&session, account)
    }

    /// The login that waits under this challenge. `None` if the challenge is unknown, has ended or
    /// has expired.
    pub async fn challenge(&self, token: &str) -> Result<Option<WaitingLogin>, Unavailable> {
        let issuer = self.issuer();
        let found =
            issuer.store.pending::<WaitingLogin>(&key_of(token), issuer.clock.now()).await?;
        Ok(found.and_then(|it| it.value))
    }

    /// Spends one of the five proofs of a challenge, before the proof is checked. So parallel
    /// requests cannot check more than five codes. Returns false if the challenge has ended.
    pub async fn spend_proof(&self, token: &str) -> Result<bool, Unavailable> {
        self.change_challenge(token, |challenge| {
            let spent = challenge.spent + 1;
            (spent <= PROOFS_MAX).then(|| Change::Set(WaitingLogin { spent, ..challenge.clone() }))
        })
        .await
    }

    /// Gives a proof back that could not be checked because of an outage.
    pub async fn return_proof(&self, token: &str) -> Result<(), Unavailable> {
        let give_back = |challenge: &WaitingLogin| {
            let spent = challenge.spent.saturating_sub(1);
            Some(Change::Set(WaitingLogin { spent, ..challenge.clone() }))
        };
        self.change_challenge(token, give_back).await.map(drop)
    }

    /// Gives a challenge the value that a passkey signs. Returns false if the challenge has ended.
    pub async fn ask_passkey(
        &self,
        token: &str,
        passkey: &passkey::Challenge,
    ) -> Result<bool, Unavailable> {
        let ask = |challenge: &WaitingLogin| {
            let passkey = Some(passkey.0.clone());
            (!challenge.is_spent())
                .then(|| Change::Set(WaitingLogin { passkey, ..challenge.clone() }))
        };
        self.change_challenge(token, ask).await
    }

    /// Ends a challenge. Returns false if it had ended before, for example because a parallel
    /// request has used it.
    pub async fn end_challenge(&self, token: &str) -> Result<bool, Unavailable> {
        self.change_challenge(token, |_| Some(Change::End)).await
    }

    async fn change_challenge(
        &self,
        token: &str,
        change: impl Fn(&WaitingLogin) -> Option<Change<WaitingLogin>>,
    ) -> Result<bool, Unavailable> {
        let issuer = self.issuer();
        let decide = |found: Option<&WaitingLogin>| match found.and_then(&change) {
            Some(change) => (change, true),
            None => (Change::Keep, false),
        };
        issuer.store.change_pending(&key_of(token), issuer.clock.now(), decide).await
    }
}

impl WaitingLogin {
    /// Whether the account is still in the state of the first proof.
    pub fn holds_for(&self, account: &AccountStatus) -> bool {
        account.has_factor()
            && account.password_version == self.password_version
            && account.factor_version == self.factor_version
            && account.session_epoch == self.session_epoch
    }

    /// The challenge that a passkey signs. None if the client has not asked for it.
    pub fn passkey(&self) -> Option<passkey::Challenge> {
        self.passkey.clone().map(passkey::Challenge)
    }

    /// Whether all five proofs were wrong.
    pub fn is_spent(&self) -> bool {
        self.spent >= PROOFS_MAX
    }
}

/// 256 random bits. The text has a prefix, so that a reader of a log recognises it.
pub fn random_challenge() -> String {
    format!("lkc_{}{}", random_id(), random_id())
}

fn key_of(token: &str) -> PendingKey {
    PendingKey::Challenge(sha256(token.as_bytes()))
}
