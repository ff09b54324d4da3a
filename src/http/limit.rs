//! Limits on requests. Some limits count the requests of a client IP address or a session. Other
//! limits are permits, which are counted for a team, an account or a key.

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

/// Admits or refuses a request by the limits that `ask` names.
pub async fn admit(app: &App, request: &mut Request, ask: Ask<'_>) -> Result<(), Problem> {
    let ip = request.client();
    Ok(app.admission.admit(ask, ip, &mut request.cx.rate).await?)
}

/// If the route is a write, counts the request against the account's budget of writes.
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

/// Sets the headers of a limit that was already checked, and refuses the request if the limit
/// refuses it. The request is not counted again.
pub fn report(request: &mut Request, decision: &Decision) -> Result<(), Problem> {
    Ok(decision.report(&mut request.cx.rate)?)
}

/// The maximum of `Retry-After` is one hour, even if the budget allows a request only later.
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

/// The team, the account or the key that a permit is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder<'a> {
    /// A team. It was found in a membership in the database or in a token whose signature is valid.
    Team(Uuid),
    /// An account. It was found in a token whose signature is valid, before any lookup.
    Account(Uuid),
    /// A key that is not looked up yet. It is identified by the digest of its text, because only a
    /// client that knows the text can cause that digest.
    Key(&'a str),
}

impl Holder<'_> {
    /// The reason to report if the request gets no permit.
    const fn reason(self) -> ShedReason {
        match self {
            Self::Team(_) => ShedReason::Team,
            Self::Account(_) => ShedReason::Account,
            Self::Key(_) => ShedReason::Key,
        }
    }
}

/// Waits for the permit of a team, an account or a key. If a holder has no permit left, its request
/// waits behind earlier requests of the same holder. Before this call, the client must have proven
/// that it belongs to the holder. Otherwise other clients could use up the holder's permits. No
/// request holds two of these permits at once, because two such requests could wait for each other.
pub async fn permit(app: &App, request: &Request, holder: Holder<'_>) -> Result<Permit, Problem> {
    let entered = app.gate.turns.enter(holder, request.cx.deadline).await;
    entered.map_err(|unavailable| {
        app.metrics.requests_shed.one(holder.reason());
        unavailable.into()
    })
}

/// Waits for the permit of the team that a verified vaultToken names. This happens before any
/// lookup.
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

/// Returns the live session of the userToken in the request, on a route that does not require a
/// token. If the token is not valid, the request counts as a request without a token.
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
        Err(Refused::Unavailable(unavailable)) => Err(unavailable.into()),
        Err(Refused::Invalid | Refused::FactorRequired(_)) => Ok(None),
    }
}

/// Verifies the userToken of the request and waits for the permit of its account. Both happen
/// before any lookup. Returns the claims and the permit.
pub async fn account(
    app: &App,
    request: &Request,
    expiry: Expiry,
) -> Result<(Uuid, UserClaims, Permit), Problem> {
    let token = request.bearer()?.ok_or(Code::InvalidToken)?;
    let (user_id, claims) = app.check().claims(token, expiry).await?;
    let permit = permit(app, request, Holder::Account(user_id)).await?;
    Ok((user_id, claims, permit))
}
