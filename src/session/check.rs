//! The check of a token. It first checks the signature and the claims of the token, then the
//! session, then the user.
//!
//! The check reads the current state from the stores. So a userToken or vaultToken is refused from
//! the moment of a logout, of a removal from the team or of a revocation.
//!
//! The cheapest step comes first: first the work without I/O, then the token store, then the
//! database. So a forged token causes no I/O, and the token of an ended session causes no database
//! query. If a dependency fails, the result is [`Refused::Unavailable`] and never
//! [`Refused::Invalid`].

use uuid::Uuid;

use crate::clock::Clock;
use crate::database::Db;
use crate::problem::{Code, Problem, Unavailable};
use crate::session::account_status::{AccountStatus, SessionRow, StatusQuery, TokenRow};
use crate::session::proof::{self, Level};
use crate::store::{Session, Store};
use crate::team::keys::KnownKey;
use crate::team::roles::scope_of;
use crate::token::jwt::{self, Expiry};
use crate::token::{KeyRing, KeysError, UserClaims, VaultClaims};
use crate::user::UserState;

/// The principal of a request: a user with a live session.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The session to which the token belongs.
    pub session: Session,
    /// The current status of the user's account.
    pub standing: AccountStatus,
    /// The `jti` and the generation of the userToken of the request, if a refresh has replaced this
    /// token.
    pub replaced_token: Option<(String, u64)>,
}

impl Principal {
    /// The level of the session.
    pub fn level(&self) -> Level {
        proof::level(&self.session, &self.standing)
    }

    /// Whether the team of the membership requires a second factor, and the session has none.
    pub fn is_locked(&self) -> bool {
        self.standing.membership.as_ref().is_some_and(|team| team.is_locked_for(self.level()))
    }
}

impl Principal {
    fn with_token(mut self, claims: &UserClaims) -> Self {
        let is_current = claims.jti == self.session.jti;
        self.replaced_token = (!is_current).then(|| (claims.jti.clone(), claims.generation));
        self
    }
}

/// Why a token is refused.
#[derive(Debug)]
pub enum Refused {
    /// The token is not valid. The client does not learn why.
    Invalid,
    /// The vaultToken is valid, but its team requires a second factor, and the session has none.
    FactorRequired(Box<Principal>),
    /// A dependency fails, so the token cannot be checked.
    Unavailable(Unavailable),
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid => Code::InvalidToken.into(),
            Refused::FactorRequired(_) => Code::StepUpRequired.into(),
            Refused::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<Unavailable> for Refused {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<sea_orm::DbErr> for Refused {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<KeysError> for Refused {
    fn from(error: KeysError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// The dependencies of the check.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    pub keys: &'a KeyRing,
    /// The value of `iss` in the tokens of this installation.
    pub issuer: &'a str,
    /// The value of `aud` in the vaultTokens of this installation.
    pub audience: &'a str,
    /// The token store, which holds live sessions.
    pub store: &'a Store,
    /// The database, which holds users and the records of ended sessions.
    pub db: &'a Db,
    pub clock: &'a Clock,
}

impl Check<'_> {
    /// Verifies a userToken and returns its claims. Needs I/O only if the token was signed with a
    /// key that this replica has not read yet.
    pub async fn claims(&self, token: &str, expiry: Expiry) -> Result<(Uuid, UserClaims), Refused> {
        let keys = self.keys.for_token(token).await?;
        let now = self.clock.now_seconds();
        let claims = jwt::verify_user(&keys, token, self.issuer, now, expiry)
            .map_err(|_| Refused::Invalid)?;
        let user_id = claims.sub.parse().map_err(|_| Refused::Invalid)?;
        Ok((user_id, claims))
    }

    /// Verifies a vaultToken and returns its claims. Needs I/O only if the token was signed with a
    /// key that this replica has not read yet.
    pub async fn vault_claims(&self, token: &str) -> Result<VaultClaims, Refused> {
        let keys = self.keys.for_token(token).await?;
        let now = self.clock.now_seconds();
        jwt::verify_vault(&keys, token, self.issuer, self.audience, now)
            .map_err(|_| Refused::Invalid)
    }

    /// Checks whether a vaultToken is valid now. The caller has verified its claims. Returns the
    /// session and the user of the token, or none if the token belongs to a project key.
    ///
    /// The check of a session's token needs one read of the token store and one SELECT. The check
    /// of a project key's token needs only the SELECT. The token is refused in these cases:
    ///
    /// - The token names no team, or the team is disabled.
    /// - The session of the token has ended.
    /// - The membership has changed since the token was issued.
    /// - The team requires a second factor, and the session has none. This is
    ///   [`Refused::FactorRequired`].
    /// - The project key of the token is revoked or expired.
    /// - The token itself is revoked.
    pub async fn vault_is_live(&self, claims: &VaultClaims) -> Result<Option<Principal>, Refused> {
        let id = |text: &str| text.parse::<Uuid>().map_err(|_| Refused::Invalid);
        let subject = id(&claims.sub)?;
        let team = id(claims.tid.as_deref().ok_or(Refused::Invalid)?)?;
        let project = claims.pid.as_deref().map(id).transpose()?;
        match &claims.sid {
            Some(sid) => self.member_is_live(claims, (subject, sid), team, project).await.map(Some),
            None => self.key_is_live(claims, subject, team, project).await.map(|()| None),
        }
    }

    /// Checks a token of a project key. The token is valid if the key is valid and has all scopes
    /// of the token.
    async fn key_is_live(
        &self,
        claims: &VaultClaims,
        key_id: Uuid,
        team: Uuid,
        project: Option<Uuid>,
    ) -> Result<(), Refused> {
        let now = self.clock.now();
        let key = KnownKey::behind(self.db, key_id, &claims.jti, now).await?;
        let key = key.ok_or(Refused::Invalid)?;
        let may = |scope: &str| key.scopes.contains(&scope);
        let good = key.team_id == team
            && Some(key.project_id) == project
            && claims.scope.split(' ').all(may);
        if good { Ok(()) } else { Err(Refused::Invalid) }
    }

    async fn member_is_live(
        &self,
        claims: &VaultClaims,
        (user_id, sid): (Uuid, &str),
        team: Uuid,
        project: Option<Uuid>,
    ) -> Result<Principal, Refused> {
        let session =
            self.store.session(user_id, sid, self.clock.now()).await?.ok_or(Refused::Invalid)?;
        let place = StatusQuery { sid, team: Some(team), project, jti: &claims.jti };
        let standing = self.person(user_id, place).await?;
        let same = standing.membership.as_ref().is_some_and(|membership| {
            let granted = scope_of(membership.role);
            let may = |scope: &str| granted.split(' ').any(|known| known == scope);
            membership.team_id == team
                && claims.scope.split(' ').all(may)
                && membership.is_active()
                && Some(membership.epoch) == claims.mep
                && Some(membership.role.name()) == claims.role.as_deref()
                && membership.project.as_ref().map(|(id, _)| *id) == project
        });
        let good = same && standing.is_verified() && standing.token == TokenRow::Absent;
        if !good {
            return Err(Refused::Invalid);
        }
        let principal = Self::join(session, standing)?;
        if principal.is_locked() {
            return Err(Refused::FactorRequired(Box::new(principal)));
        }
        Ok(principal)
    }

    /// Returns the principal of a userToken. The caller has verified the claims. While a session is
    /// live, each of its unexpired tokens is valid, not only the newest one.
    pub async fn caller_of(
        &self,
        user_id: Uuid,
        claims: &UserClaims,
    ) -> Result<Principal, Refused> {
        let session = self.session(user_id, claims).await?;
        Ok(self.standing(session).await?.with_token(claims))
    }

    /// Does the same as `caller_of`, but reads the user's membership in `team`, if there is one,
    /// instead of the membership in the session's team.
    pub async fn caller_in(
        &self,
        user_id: Uuid,
        claims: &UserClaims,
        team: Uuid,
    ) -> Result<Principal, Refused> {
        let session = self.session(user_id, claims).await?;
        let project = session.project_id.filter(|_| session.team_id == Some(team));
        let place =
            StatusQuery { sid: &session.sid, team: Some(team), project, ..StatusQuery::default() };
        let standing = self.person(session.user_id, place).await?;
        Ok(Self::join(session, standing)?.with_token(claims))
    }

    /// Reads the live session that the verified claims name.
    async fn session(&self, user_id: Uuid, claims: &UserClaims) -> Result<Session, Refused> {
        let now = self.clock.now();
        let mut session =
            self.store.session(user_id, &claims.sid, now).await?.ok_or(Refused::Invalid)?;
        // The client's token is newer than the token in the store. So the store has lost its last
        // writes, and the rotation that issued this token was one of them.
        if claims.generation > session.generation {
            return Err(Refused::Invalid);
        }
        let is_current = claims.generation == session.generation && claims.jti == session.jti;
        if is_current && !session.used {
            // From now on, a use of the previous token after the grace period counts as theft. If
            // this cannot be stored, the request is refused.
            self.store.mark_used(&session, now).await?;
            session.used = true;
        }
        Ok(session)
    }

    /// Returns the principal of a session that is live in the token store.
    pub async fn standing(&self, session: Session) -> Result<Principal, Refused> {
        let place = StatusQuery {
            sid: &session.sid,
            team: session.team_id,
            project: session.project_id,
            ..StatusQuery::default()
        };
        let standing = self.person(session.user_id, place).await?;
        Self::join(session, standing)
    }

    /// Reads a user. Refuses the token if the account is not active, or if the session has a row in
    /// the table of ended sessions. [`Check::join`] checks the epoch of the session.
    pub async fn person(
        &self,
        user_id: Uuid,
        place: StatusQuery<'_>,
    ) -> Result<AccountStatus, Refused> {
        let standing = AccountStatus::by_id(self.db, user_id, place).await?;
        let alive = |standing: &AccountStatus| {
            standing.state == UserState::Active && standing.session == SessionRow::Absent
        };
        standing.filter(alive).ok_or(Refused::Invalid)
    }

    /// Combines a session with its user. If the epoch of the session is not the user's epoch, the
    /// session is refused, because it was ended together with all other sessions of the user.
    pub fn join(session: Session, standing: AccountStatus) -> Result<Principal, Refused> {
        if session.epoch == standing.session_epoch {
            Ok(Principal { session, standing, replaced_token: None })
        } else {
            Err(Refused::Invalid)
        }
    }
}
