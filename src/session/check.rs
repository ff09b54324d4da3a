//! The check of a token: signature and claims, then the session, then the person. Live: what a log-out, a removal or a
//! revocation has ended is refused at once, of both kinds.
//!
//! Pure work first, the token store second, the database last: a forged token costs no I/O, an ended session no query.
//! A dependency in doubt is [`Refused::Unavailable`], never a "no".

use uuid::Uuid;

use crate::clock::Clock;
use crate::database::Db;
use crate::problem::{Code, Problem, Unavailable};
use crate::session::account_status::{AccountStatus, SessionRow, StatusQuery, TokenRow};
use crate::store::{Session, Store};
use crate::team::keys::KnownKey;
use crate::token::jwt::{self, Expiry};
use crate::token::{KeyRing, KeysError, UserClaims, VaultClaims};
use crate::user::UserState;

/// Who asks, proven.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The session that the token is of.
    pub session: Session,
    /// The person, as of now.
    pub standing: AccountStatus,
}

/// Why a token opens nothing.
#[derive(Debug)]
pub enum Refused {
    /// It is not good; clients learn no more.
    Invalid,
    /// Nobody can tell just now.
    Unavailable(Unavailable),
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid => Code::InvalidToken.into(),
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

/// What the check stands on.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// The keys.
    pub keys: &'a KeyRing,
    /// `iss` of our tokens.
    pub issuer: &'a str,
    /// `aud` of our vaultTokens.
    pub audience: &'a str,
    /// Where sessions live.
    pub store: &'a Store,
    /// Where people and endings live.
    pub db: &'a Db,
    pub clock: &'a Clock,
}

impl Check<'_> {
    /// Reads the claims of a userToken: without I/O, but for a key that this replica has not seen yet.
    pub async fn claims(&self, token: &str, expiry: Expiry) -> Result<(Uuid, UserClaims), Refused> {
        let keys = self.keys.for_token(token).await?;
        let now = self.clock.now_seconds();
        let claims = jwt::verify_user(&keys, token, self.issuer, now, expiry)
            .map_err(|_| Refused::Invalid)?;
        let user_id = claims.sub.parse().map_err(|_| Refused::Invalid)?;
        Ok((user_id, claims))
    }

    /// Reads the claims of a vaultToken, likewise.
    pub async fn vault_claims(&self, token: &str) -> Result<VaultClaims, Refused> {
        let keys = self.keys.for_token(token).await?;
        let now = self.clock.now_seconds();
        jwt::verify_vault(&keys, token, self.issuer, self.audience, now)
            .map_err(|_| Refused::Invalid)
    }

    /// Whether a vaultToken whose claims were read opens anything at this moment: one look at the token store, one SELECT
    /// (a project key's: the SELECT alone). Refused without a team, in a disabled one, in an ended session, after a change
    /// of the membership, of a key that is revoked or expired, and when itself revoked.
    pub async fn vault_is_live(&self, claims: &VaultClaims) -> Result<(), Refused> {
        let id = |text: &str| text.parse::<Uuid>().map_err(|_| Refused::Invalid);
        let subject = id(&claims.sub)?;
        let team = id(claims.tid.as_deref().ok_or(Refused::Invalid)?)?;
        let project = claims.pid.as_deref().map(id).transpose()?;
        match &claims.sid {
            Some(sid) => self.member_is_live(claims, (subject, sid), team, project).await,
            None => self.key_is_live(claims, subject, team, project).await,
        }
    }

    /// The token of a project's key: good while the key is, for what the key may.
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
    ) -> Result<(), Refused> {
        let session =
            self.store.session(user_id, sid, self.clock.now()).await?.ok_or(Refused::Invalid)?;
        let place = StatusQuery { sid, team: Some(team), project, jti: &claims.jti };
        let standing = self.person(user_id, place).await?;
        let same = standing.membership.as_ref().is_some_and(|membership| {
            membership.team_id == team
                && membership.is_active()
                && Some(membership.epoch) == claims.mep
                && Some(membership.role.name()) == claims.role.as_deref()
                && membership.project.as_ref().map(|(id, _)| *id) == project
        });
        let good = same
            && standing.is_verified()
            && standing.token == TokenRow::Absent
            && session.epoch == standing.session_epoch;
        if good { Ok(()) } else { Err(Refused::Invalid) }
    }

    /// The caller that the claims of a userToken prove. Any unexpired token of a live session is good.
    pub async fn caller_of(
        &self,
        user_id: Uuid,
        claims: &UserClaims,
    ) -> Result<Principal, Refused> {
        self.standing(self.session(user_id, claims).await?).await
    }

    /// The same, with the membership of this team in place of the session's, where there is one.
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
        Self::join(session, standing)
    }

    /// The live session of claims that were read.
    async fn session(&self, user_id: Uuid, claims: &UserClaims) -> Result<Session, Refused> {
        let session = self
            .store
            .session(user_id, &claims.sid, self.clock.now())
            .await?
            .ok_or(Refused::Invalid)?;
        // Ahead of the store: it lost its last writes, this token's rotation among them.
        if claims.generation > session.generation {
            return Err(Refused::Invalid);
        }
        Ok(session)
    }

    /// The caller of a session that the store holds alive.
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

    /// A person who may be served, in a session that was not ended. The session's epoch is left to [`Check::join`].
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

    /// A live session of a person who may be served: under the person's epoch, or it ended with all the others.
    pub fn join(session: Session, standing: AccountStatus) -> Result<Principal, Refused> {
        if session.epoch == standing.session_epoch {
            Ok(Principal { session, standing })
        } else {
            Err(Refused::Invalid)
        }
    }
}
