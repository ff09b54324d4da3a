//! Limits of a request: by client address, by session, and the permits of a team, an account or a key.

use uuid::Uuid;

use super::request::Request;
use super::router::Route;
use crate::actor::Permit;
use crate::admission::budgets::Budget;
use crate::admission::{Ask, Decision, KnownSession, Limited};
use crate::app::App;
use crate::captcha::CaptchaError;
use crate::problem::{Code, Problem};
use crate::session::Refused;
use crate::telemetry::labels::ShedReason;
use crate::token::{Expiry, UserClaims, VaultClaims};

/// Admits what a request asks for.
pub async fn admit(app: &App, request: &mut Request, ask: Ask<'_>) -> Result<(), Problem> {
    let ip = request.client();
    Ok(app.admission.admit(ask, ip, &mut request.cx.rate).await?)
}

/// Spends one of the account's writes, where the route is one.
pub async fn admit_write(
    app: &App,
    request: &mut Request,
    (route, user_id): (&Route, Uuid),
) -> Result<(), Problem> {
    if route.is_account_write() {
        admit(app, request, Ask::Account(Budget::AccountWrites, user_id)).await?;
    }
    Ok(())
}

/// Sets the headers of a limit, and refuses where it does; counts nothing.
pub fn report(request: &mut Request, decision: &Decision) -> Result<(), Problem> {
    Ok(decision.report(&mut request.cx.rate)?)
}

/// `Retry-After` is at most an hour, also where a budget needs longer.
const RETRY_AFTER_MAX_S: u64 = 3_600;

/// The problem of a request that is over a limit.
pub fn limited(retry_after_s: u64) -> Problem {
    let seconds = retry_after_s.min(RETRY_AFTER_MAX_S);
    Problem::new(Code::RateLimited).retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
}

impl From<Limited> for Problem {
    fn from(limit: Limited) -> Self {
        limited(limit.retry_after_s)
    }
}

impl From<CaptchaError> for Problem {
    fn from(error: CaptchaError) -> Self {
        match error {
            CaptchaError::Invalid => Code::CaptchaInvalid.into(),
            CaptchaError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

/// Whose permit a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder<'a> {
    /// A team: by the membership that was read, or by a token's signature.
    Team(Uuid),
    /// An account: by a token's signature, before any lookup.
    Account(Uuid),
    /// A client that knows a key's text, by the text's digest, before the key is looked up: no other client has that digest.
    Key(&'a str),
}

impl Holder<'_> {
    /// The reason of a request that it has no permit for.
    const fn reason(self) -> ShedReason {
        match self {
            Self::Team(_) => ShedReason::Team,
            Self::Account(_) => ShedReason::Account,
            Self::Key(_) => ShedReason::Key,
        }
    }
}

/// Waits for the permit of a team, an account or a key: one that sends more than its share waits behind itself. The holder
/// has to be proven, or other clients could use up its share. No request holds two permits at once: two such requests could
/// wait for each other.
pub async fn permit(app: &App, request: &Request, holder: Holder<'_>) -> Result<Permit, Problem> {
    let entered = app.gate.turns.enter(holder, request.cx.deadline).await;
    entered.map_err(|unavailable| {
        app.metrics.requests_shed.one(holder.reason());
        unavailable.into()
    })
}

/// The permit of the team that a vaultToken of ours names, before any lookup.
pub async fn permit_of(
    app: &App,
    request: &Request,
    claims: &VaultClaims,
) -> Result<Option<Permit>, Problem> {
    match claims.tid.as_deref().map(str::parse) {
        Some(Ok(team)) => permit(app, request, Holder::Team(team)).await.map(Some),
        _ => Ok(None),
    }
}

/// The live session whose userToken the request carries, on a route that needs none. A token that opens nothing counts as
/// none.
pub async fn known_session(app: &App, request: &Request) -> Result<Option<KnownSession>, Problem> {
    let Ok(Some(token)) = request.bearer() else { return Ok(None) };
    let found = async {
        let (user_id, claims) = app.check().claims(token, Expiry::Enforced).await?;
        let _permit = app.gate.turns.enter(Holder::Account(user_id), request.cx.deadline).await?;
        app.check().caller_of(user_id, &claims).await
    };
    match found.await {
        Ok(principal) => Ok(Some(KnownSession {
            sid: principal.session.sid,
            address: principal.standing.email_normal,
        })),
        Err(Refused::Invalid) => Ok(None),
        Err(Refused::Unavailable(unavailable)) => Err(unavailable.into()),
    }
}

/// The claims of the request's userToken, and the permit of the account that it proves: all that comes before a lookup.
pub async fn account(app: &App, request: &Request) -> Result<(Uuid, UserClaims, Permit), Problem> {
    let token = request.bearer()?.ok_or(Code::InvalidToken)?;
    let (user_id, claims) = app.check().claims(token, Expiry::Enforced).await?;
    let permit = permit(app, request, Holder::Account(user_id)).await?;
    Ok((user_id, claims, permit))
}
