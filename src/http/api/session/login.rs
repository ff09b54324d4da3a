//! `POST /api/login`: tokens of a new session, for address and password.
//!
//! An unknown address and a wrong password leave by the same line, after the same work (contract §2).

use opentelemetry::KeyValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::guess::{self, Guess};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::http::steps::{self, BY_PASSWORD};
use crate::limits::budgets::{Budget, Spent, source_prefix};
use crate::limits::device::Device;
use crate::password::{OldHash, Verdict};
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::AccountStatus;
use crate::session::{LoginContext, Tokens, Tried};
use crate::user::EmailAddress;
use crate::user::UserState;

/// Address and password.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Login {
    /// The address of the account; upper and lower case are one.
    email: String,
    /// The password, as it was chosen.
    password: String,
    /// Where the operator asks for one after failures.
    captcha: Option<String>,
}

/// The handler.
pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let email = body.text("email");
    let password = body.secret("password");
    let email = body.check("email", EmailAddress::parse(&email));
    let captcha = body.optional_text("captcha");
    body.finish()?;
    let Some(email) = email else { return Err(Code::ValidationFailed.into()) };
    let result = match guess::begin(app, request, email.normal()) {
        Ok(guess) => log_in(app, request, guess, &email, (password, captcha)).await,
        Err(limited) if limited.code == Code::RateLimited => return Err(limited),
        Err(overloaded) => Err(overloaded),
    };
    let outcome = match &result {
        Ok(_) => "success",
        Err(problem) => problem.code.name(),
    };
    let attributes = [KeyValue::new("method", "password"), KeyValue::new("outcome", outcome)];
    app.metrics.logins.add(1, &attributes);
    result
}

async fn log_in(
    app: &App,
    request: &mut Request,
    mut guess: Guess,
    email: &EmailAddress,
    (password, captcha): (Secret<String>, Option<String>),
) -> Result<Answer, Problem> {
    // Without a token store nobody gets in: 503 before a hash is spent, and the same for a wrong password.
    app.store.ready().await?;
    guess::admit(app, request, &guess, captcha).await?;
    let standing = guess::person(app, request, &guess).await?;
    let account = standing.as_ref().map(|standing| standing.id);
    let again = password.clone();
    let verdict = guess::verify(app, request, &mut guess, standing.as_ref(), password).await?;
    let (Some(standing), Verdict::Match | Verdict::MatchNeedsRehash) = (standing, verdict) else {
        refused(app, request, email, account, "password");
        return Err(Code::InvalidCredentials.into());
    };
    if standing.state == UserState::Disabled {
        refused(app, request, email, account, "disabled");
        return Err(Code::AccountDisabled.into());
    }
    let arrival = arrival(app, request, &standing, guess.device()).await;
    let tokens = steps::open_session(app, request, &standing, BY_PASSWORD, arrival).await?;
    if verdict == Verdict::MatchNeedsRehash {
        rehash(app, &standing, again);
    }
    let mut answer = answer::json(&tokens);
    guess::make_known(app, &mut answer, email.normal(), &standing, guess.device());
    Ok(answer)
}

/// What is new about this log-in. On a known device nothing is, and nobody is asked.
///
/// A person is told of a log-in on a device that does not show itself (ASVS 6.3.5), but of the first log-in only where it
/// comes from elsewhere than the account was made: a stranger's may be the first. Nobody is told at an address that is not
/// proven: whoever registered it could have us mail its owner.
async fn arrival(
    app: &App,
    request: &Request,
    standing: &AccountStatus,
    known: Option<Device>,
) -> LoginContext {
    let first = !standing.has_logged_in;
    let source = source_prefix(request.client());
    // Of an account that the operator made nobody knows from where it will be used.
    let made_here = standing.created_ip.parse().map_or(true, |ip| source_prefix(ip) == source);
    let is_news = known.is_none() && standing.is_verified() && !(first && made_here);
    let new_device = is_news && app.config.mail.new_device && {
        let deadline = request.cx.deadline;
        let (budget, mailbox) = (Budget::NewDevices, &standing.email_normal);
        app.budgets.mailbox(budget, mailbox, None, deadline).await == Spent::Within
    };
    LoginContext { first, new_device }
}

/// Logs a refusal, and leaves it to the audit. The log knows the account by a keyed digest of the address that was tried,
/// the same whether there is one.
pub fn refused(
    app: &App,
    request: &Request,
    email: &EmailAddress,
    account: Option<Uuid>,
    reason: &'static str,
) {
    let digest = app.audit.name(&[b"log", email.normal().as_bytes()]);
    tracing::info!(account = digest, reason, "log-in refused");
    guess::note_refused(app, request, Tried::LogIn(reason), email.normal(), account);
}

/// Brings an old hash up to today's parameters, after the answer: nobody waits for it, and a refusal is made up for by the
/// next log-in.
fn rehash(app: &App, standing: &AccountStatus, password: Secret<String>) {
    let (user_id, old_hash) = (standing.id, standing.password_hash.expose().clone());
    app.passwords.rehash(OldHash { user_id, hash: old_hash, password });
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("login", Tag::Session, "Log in with address and password")
        .describes("The answer carries `X-Latchkey-Device`: keep it with the address and send it with the next log-in, so that strangers who guess cannot lock this device out. A log-in without it is mailed to the person as one on a new device.")
        .takes::<Login>()
        .gives::<Tokens>("Tokens of a new session.")
        .fails(&[
            Code::MalformedRequest,
            Code::CaptchaInvalid,
            Code::InvalidCredentials,
            Code::AccountDisabled,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
