//! Steps that several endpoints share: a limit, a captcha, a password, a session. Each asks one room and turns a "no" into
//! its problem; none knows the endpoint it serves.

use opentelemetry::KeyValue;
use uuid::Uuid;

use super::dispatch::limited;
use super::json::{Object, Rule};
use super::request::Request;
use crate::actor::Pass;
use crate::app::App;
use crate::captcha;
use crate::config::{CaptchaPoint, CaptchaProvider};
use crate::limits::budgets::Spent;
use crate::limits::{Action, Decision};
use crate::password::{Breached, Finding, PolicyViolation};
use crate::problem::{Code, Problem, Unavailable};
use crate::secret::Secret;
use crate::session::AccountStatus;
use crate::session::{LoginContext, Tokens, issue};
use crate::store::Session;
use crate::team::teams;
use crate::token::{Expiry, UserClaims, VaultClaims};
use crate::user::{AddressError, EmailAddress, NameError, PersonName};

/// `amr` of a log-in by password (RFC 8176).
pub const BY_PASSWORD: &str = "pwd";
/// `amr` of a session that a mailed link opened: the mailbox proved it. A private value; RFC 8176 has none for mail.
pub const BY_MAIL: &str = "email";

/// Takes one from the address's limit of an action.
pub fn limit(app: &App, request: &mut Request, action: Action) -> Result<(), Problem> {
    let decision = app.limiter.check(action, request.client());
    decide(app, request, &decision)
}

/// In whose name a request waits for the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whom<'a> {
    /// A team: by the membership that was looked up, or by a token's signature.
    Team(Uuid),
    /// A person: by a token's signature, before anything is looked up.
    Account(Uuid),
    /// Whoever knows a key's text, by its digest, before the key is looked up: nobody else comes in this name.
    Key(&'a str),
}

impl Whom<'_> {
    /// As in the metric.
    const fn name(self) -> &'static str {
        match self {
            Self::Team(_) => "team",
            Self::Account(_) => "account",
            Self::Key(_) => "key",
        }
    }
}

/// Waits for the turn of a team, an account or a key: whoever sends more than their share waits behind themselves. Who it is
/// has to be proven, or strangers could come in their name. Nobody holds two passes at once: those who did would wait for
/// each other.
pub async fn turn(app: &App, request: &Request, whom: Whom<'_>) -> Result<Pass, Problem> {
    let entered = app.gate.turns.enter(whom, request.cx.deadline).await;
    entered.map_err(|unavailable| {
        app.metrics.requests_shed.add(1, &[KeyValue::new("reason", whom.name())]);
        unavailable.into()
    })
}

/// The same for the team that a vaultToken of ours names, before any store is asked.
pub async fn turn_of(
    app: &App,
    request: &Request,
    claims: &VaultClaims,
) -> Result<Option<Pass>, Problem> {
    match claims.tid.as_deref().map(str::parse) {
        Some(Ok(team)) => turn(app, request, Whom::Team(team)).await.map(Some),
        _ => Ok(None),
    }
}

/// The claims of the request's userToken, and the turn of the account that it proves: what comes before any look at a store.
pub async fn account(app: &App, request: &Request) -> Result<(Uuid, UserClaims, Pass), Problem> {
    let token = request.bearer()?.ok_or(Code::InvalidToken)?;
    let (user_id, claims) = app.check().claims(token, Expiry::Enforced).await?;
    let pass = turn(app, request, Whom::Account(user_id)).await?;
    Ok((user_id, claims, pass))
}

/// Takes one from the session's limit of refreshes.
pub fn limit_session(app: &App, request: &mut Request, sid: &str) -> Result<(), Problem> {
    let decision = app.limiter.check_session(sid);
    decide(app, request, &decision)
}

/// Takes one from a known device's limit of password checks.
pub fn limit_device(app: &App, request: &mut Request, id: &str) -> Result<(), Problem> {
    let decision = app.limiter.check_device(id);
    decide(app, request, &decision)
}

/// Tells the headers of a known device's limit, or that it has none left; takes nothing and counts nothing.
pub fn look_device(app: &App, request: &mut Request, id: &str) -> Result<(), Problem> {
    let decision = app.limiter.look_device(id);
    tell(request, &decision)
}

/// Sets the headers of what a limit found, and refuses where it does.
pub fn tell(request: &mut Request, decision: &Decision) -> Result<(), Problem> {
    match *decision {
        Decision::Unlimited => Ok(()),
        Decision::Allowed(headers) => {
            request.cx.rate = Some(headers);
            Ok(())
        }
        Decision::Limited { headers, retry_after_s } => {
            request.cx.rate = Some(headers);
            Err(limited(retry_after_s))
        }
    }
}

/// Refuses what is beyond a budget.
pub fn within(spent: Spent) -> Result<(), Problem> {
    match spent {
        Spent::Within => Ok(()),
        Spent::Exhausted { retry_after_s } => Err(limited(retry_after_s)),
    }
}

fn decide(app: &App, request: &mut Request, decision: &Decision) -> Result<(), Problem> {
    let (outcome, headers) = match decision {
        Decision::Unlimited => return Ok(()),
        Decision::Allowed(headers) => ("allowed", headers),
        Decision::Limited { headers, .. } => ("limited", headers),
    };
    let attributes = [
        KeyValue::new("policy", headers.policy_name),
        KeyValue::new("decision", outcome),
        KeyValue::new("scope", "address"),
    ];
    app.metrics.rate_limit_decisions.add(1, &attributes);
    tell(request, decision)
}

/// Whether a captcha is asked for at this point, with this provider.
pub fn captcha_needed(app: &App, point: CaptchaPoint) -> bool {
    app.config.captcha.provider != CaptchaProvider::None && app.config.captcha.on.contains(&point)
}

/// Checks the captcha of a request where one is needed. With none needed, one that is sent all the same is checked too,
/// since it buys a larger mailbox budget; nothing sent is nothing then.
pub async fn captcha(
    app: &App,
    request: &Request,
    point: CaptchaPoint,
    payload: Option<String>,
) -> Result<Option<captcha::Verdict>, Problem> {
    demand_captcha(app, request, point, captcha_needed(app, point), payload).await
}

/// The same, where the caller decides whether one is needed.
pub async fn demand_captcha(
    app: &App,
    request: &Request,
    point: CaptchaPoint,
    needed: bool,
    payload: Option<String>,
) -> Result<Option<captcha::Verdict>, Problem> {
    let payload = match payload.filter(|payload| !payload.is_empty()) {
        Some(payload) if app.captcha.is_on() => payload,
        _ if needed => return Err(Code::CaptchaInvalid.into()),
        _ => return Ok(None),
    };
    let solution = captcha::Solution { payload, point, client: request.client() };
    match app.captchas.verify(request.cx.deadline, solution).await {
        Ok(captcha::Verdict::Solved) => Ok(Some(captcha::Verdict::Solved)),
        Ok(captcha::Verdict::Refused) if needed => Err(Code::CaptchaInvalid.into()),
        // In doubt it does not pass; where it only buys a larger budget, it buys none.
        Err(unavailable) if needed => Err(unavailable.into()),
        Ok(captcha::Verdict::Refused) | Err(_) => Ok(None),
    }
}

/// The captcha of a GET: `capcha`, as the page spells it, or `captcha`.
pub fn captcha_of_query(request: &Request) -> Result<Option<String>, Problem> {
    let payload = request.query("capcha")?.filter(|payload| !payload.is_empty());
    Ok(match payload {
        Some(payload) => Some(payload),
        None => request.query("captcha")?,
    })
}

/// An address out of a body, or the rule that it breaks.
pub fn email(object: &mut Object) -> Option<EmailAddress> {
    let text = object.text("email");
    object.check("email", EmailAddress::parse(&text))
}

/// A name out of a body, or the rule that it breaks.
pub fn name(object: &mut Object) -> Option<PersonName> {
    let text = object.text("name");
    object.check("name", PersonName::parse(&text))
}

/// A password's rules, for a person as far as known.
pub fn policy(
    app: &App,
    object: &mut Object,
    member: &'static str,
    password: &Secret<String>,
    address: Option<&EmailAddress>,
    name: Option<&str>,
) {
    let mut context = Vec::new();
    if let Some(address) = address {
        context.extend([address.as_typed(), address.normal(), address.local()]);
    }
    context.extend(name);
    object.check(member, app.policy.check(password, &context));
}

/// Whether a new password that keeps the other rules is the name of one of the person's teams (ASVS 6.2.11). Asked once
/// the person has proven to be that one: the answer would tell a stranger their teams.
pub async fn not_a_teams_name(
    app: &App,
    member: &'static str,
    password: &Secret<String>,
    user_id: Uuid,
) -> Result<(), Problem> {
    let teams = teams::of_user(&app.db, user_id, Uuid::nil(), app.config.teams.max_per_user);
    let teams = teams.await?;
    let names: Vec<&str> =
        teams.iter().flat_map(|team| [team.name.as_str(), team.slug.as_str()]).collect();
    let mut told = Object::default();
    told.check(member, app.policy.check(password, &names));
    told.finish()
}

/// Whether a new password that keeps the other rules is known from a breach: asked last, after limits and captcha, since
/// it asks somebody else. Fails open ([`password::breach`]).
pub async fn not_breached(
    app: &App,
    member: &'static str,
    password: &Secret<String>,
) -> Result<(), Problem> {
    let Some(breach) = &app.breach else { return Ok(()) };
    let mut told = Object::default();
    if breach.check(password).await == Finding::Breached {
        told.reject(member, Breached::CODE, Breached);
    }
    told.finish()
}

/// The PHC string of a new password.
pub async fn hash(
    app: &App,
    request: &Request,
    password: Secret<String>,
) -> Result<String, Problem> {
    let (source, deadline) = (request.cx.source(), request.cx.deadline);
    Ok(app.passwords.hash(source, deadline, password).await?)
}

/// Opens a session and gives its tokens; `arrival` says what is new about it.
pub async fn open_session(
    app: &App,
    request: &Request,
    standing: &AccountStatus,
    amr: &'static str,
    arrival: LoginContext,
) -> Result<Tokens, Problem> {
    let session = issue::new_session(
        standing,
        &app.config.sessions,
        amr,
        request.client().to_string(),
        request.cx.user_agent.clone(),
        app.clock.now(),
    );
    app.sessions.open(request.call(), session.clone(), arrival).await?;
    if arrival.new_device {
        nudge_mailer(app);
    }
    tokens(app, &session, standing)
}

/// The tokens of a session's current `jti`.
pub fn tokens(app: &App, session: &Session, standing: &AccountStatus) -> Result<Tokens, Problem> {
    let keys = app.keys.current();
    let tokens = issue::tokens(&keys, &app.config.tokens, session, standing, app.clock.now())
        .map_err(|error| Unavailable::because("signing keys", error))?;
    for kind in ["user", "vault"] {
        app.metrics.tokens_issued.add(1, &[KeyValue::new("type", kind)]);
    }
    Ok(tokens)
}

/// Tells the mailer that there may be something to do; it would find out by itself a little later.
pub fn nudge_mailer(app: &App) {
    app.deliveries.wake();
}

impl Rule for AddressError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            _ => "format",
        }
    }
}

impl Rule for NameError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "too-short",
            Self::TooLong => "too-long",
            Self::Invisible => "forbidden-character",
        }
    }
}

impl Rule for PolicyViolation {
    fn code(&self) -> &'static str {
        PolicyViolation::code(*self)
    }
}
