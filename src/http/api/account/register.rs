//! `POST /api/register`: makes an account and mails the link that confirms its address.
//!
//! Order: rules, limits, captcha, breaches, then whether the token store answers (else nothing is made) and the mailbox has
//! room for a mail (or whoever deletes and registers again floods it), and only then the hash.

use opentelemetry::KeyValue;
use utoipa::ToSchema;

use crate::account::{Registered, Registration};
use crate::app::App;
use crate::config::{CaptchaPoint, RegistrationMode};
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::http::steps::{self, BY_PASSWORD};
use crate::limits::Action;
use crate::limits::budgets::Budget;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::AccountStatus;
use crate::session::{LoginContext, Tokens};
use crate::team::joining;
use crate::user::{EmailAddress, PersonName};

/// Who registers.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Register {
    /// The address; a confirmation is mailed to it.
    email: String,
    /// 8 to 256 characters; not a common or breached one, not the address or the name.
    password: String,
    /// 1 to 100 characters.
    name: String,
    /// Where the operator asks for one.
    captcha: Option<String>,
}

/// The handler.
pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let result = register(app, request).await;
    let outcome = match &result {
        Ok(_) => "success",
        Err(problem) => problem.code.name(),
    };
    app.metrics.registrations.add(1, &[KeyValue::new("outcome", outcome)]);
    Ok(answer::json(&result?))
}

async fn register(app: &App, request: &mut Request) -> Result<Tokens, Problem> {
    let mut body = request.json()?;
    let email = steps::email(&mut body);
    let name = steps::name(&mut body);
    let password = body.secret("password");
    let captcha = body.optional_text("captcha");
    let known_name = name.as_ref().map(PersonName::as_str);
    steps::policy(app, &mut body, "password", &password, email.as_ref(), known_name);
    body.finish()?;
    let (Some(email), Some(name)) = (email, name) else {
        return Err(Code::ValidationFailed.into());
    };
    steps::limit(app, request, Action::Register)?;
    admitted(app, &email)?;
    let captcha = steps::captcha(app, request, CaptchaPoint::Register, captcha).await?;
    invited(app, &email).await?;
    if AccountStatus::by_email(&app.db, email.normal()).await?.is_some() {
        return Err(Code::EmailTaken.into());
    }
    steps::not_breached(app, "password", &password).await?;
    app.store.ready().await?;
    let (mails, deadline) = (Budget::Confirmations, request.cx.deadline);
    let spent = app.budgets.mailbox(mails, email.normal(), captcha, deadline).await;
    steps::within(spent)?;
    let standing = make(app, request, email, &name, password).await?;
    steps::nudge_mailer(app);
    steps::open_session(app, request, &standing, BY_PASSWORD, LoginContext::default()).await
}

async fn make(
    app: &App,
    request: &Request,
    email: EmailAddress,
    name: &PersonName,
    password: Secret<String>,
) -> Result<AccountStatus, Problem> {
    let password_hash = steps::hash(app, request, password).await?;
    let new = Registration { email, name: name.as_str().to_owned(), password_hash };
    match app.accounts.register(request.call(), new).await? {
        Registered::EmailTaken => Err(Code::EmailTaken.into()),
        Registered::Now(standing) => Ok(*standing),
    }
}

/// Whether this address may register, as far as the settings say (`registration.mode`).
fn admitted(app: &App, email: &EmailAddress) -> Result<(), Problem> {
    let registration = &app.config.registration;
    match registration.mode {
        RegistrationMode::Open | RegistrationMode::Invite => Ok(()),
        RegistrationMode::Domains if registration.domains.iter().any(|d| d == email.domain()) => {
            Ok(())
        }
        RegistrationMode::Domains => refused("Addresses of this domain cannot register here."),
        RegistrationMode::Closed => refused("Registration here is closed."),
    }
}

/// Whether it was invited, where it has to be. Asked after the captcha, and answered alike for an address with an account:
/// who is invited is no stranger's to look up for nothing.
async fn invited(app: &App, email: &EmailAddress) -> Result<(), Problem> {
    if app.config.registration.mode != RegistrationMode::Invite
        || joining::is_invited(&app.db, email.normal(), app.clock.now()).await?
    {
        return Ok(());
    }
    refused("Registration here is by invitation.")
}

/// Whether an account may move to this address. A mode that admits some admits no others by the back door: domains hold for
/// everybody, and who has not proven the address that was admitted moves only to another one that is.
pub async fn may_move(
    app: &App,
    standing: &AccountStatus,
    email: &EmailAddress,
) -> Result<(), Problem> {
    if app.config.registration.mode == RegistrationMode::Domains || !standing.is_verified() {
        admitted(app, email)?;
        invited(app, email).await?;
    }
    Ok(())
}

fn refused(detail: &str) -> Result<(), Problem> {
    Err(Problem::new(Code::Forbidden).detail(detail))
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("register", Tag::Account, "Create an account")
        .describes(
            "A confirmation mail follows. Until its link is opened the vaultToken opens nothing.",
        )
        .takes::<Register>()
        .gives::<Tokens>("Tokens of a first session.")
        .fails(&[
            Code::MalformedRequest,
            Code::CaptchaInvalid,
            Code::Forbidden,
            Code::EmailTaken,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
