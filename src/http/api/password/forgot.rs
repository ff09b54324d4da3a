//! `POST /api/forgot-passsword` and `/api/forgot-password`: mails a recovery link, where there is somebody to mail it to.
//!
//! The answer, its time and what is spent are the same for a known and an unknown address (contract §2).

use std::time::Duration;

use opentelemetry::KeyValue;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::app::App;
use crate::captcha;
use crate::config::CaptchaPoint;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Done, Operation, Tag};
use crate::http::request::Request;
use crate::http::steps;
use crate::limits::Action;
use crate::limits::budgets::{Budget, Spent};
use crate::problem::{Code, Problem};
use crate::user::EmailAddress;

/// Whose password.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Forgot {
    /// The address of the account.
    email: String,
    /// Where the operator asks for one.
    captcha: Option<String>,
}

/// The handler.
pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let email = steps::email(&mut body);
    let captcha = body.optional_text("captcha");
    body.finish()?;
    let Some(email) = email else { return Err(Code::ValidationFailed.into()) };
    recover(app, request, email, captcha).await?;
    Ok(answer::json(&Done::OK))
}

/// No answer comes before this time: what a known address costs beyond an unknown one was a millisecond on PostgreSQL and Redis
/// (docs/limits.md), and no hash hides it here. Twenty times the slowest median that was measured.
const ANSWER_AFTER: Duration = Duration::from_millis(100);

/// Asks for a recovery mail; for the page too. A mailbox over its budget is told nothing and mailed nothing: the older
/// link stays good (security §3).
pub async fn recover(
    app: &App,
    request: &mut Request,
    email: EmailAddress,
    payload: Option<String>,
) -> Result<(), Problem> {
    steps::limit(app, request, Action::Forgot)?;
    let captcha = steps::captcha(app, request, CaptchaPoint::Forgot, payload).await?;
    let answer_at = Instant::now() + ANSWER_AFTER;
    let asked = ask(app, request, email, captcha).await;
    tokio::time::sleep_until(answer_at).await;
    asked
}

async fn ask(
    app: &App,
    request: &Request,
    email: EmailAddress,
    captcha: Option<captcha::Verdict>,
) -> Result<(), Problem> {
    // What is spent of a mailbox's budget while the database is away would buy no mail, and later ones would be missed.
    app.db.ready().await?;
    let deadline = request.cx.deadline;
    let budget = Budget::Recoveries;
    let spent = app.budgets.mailbox(budget, email.normal(), captcha, deadline).await;
    let mut outcome = "over_budget";
    if spent == Spent::Within {
        app.accounts.recover(request.call(), email).await?;
        steps::nudge_mailer(app);
        outcome = "success";
    }
    let attributes = [KeyValue::new("stage", "forgot"), KeyValue::new("outcome", outcome)];
    app.metrics.password_resets.add(1, &attributes);
    Ok(())
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("forgotPassword", Tag::Password, "Ask for a recovery mail")
        .describes("The answer is the same whether there is an account or not. `Authorization` is not needed and ignored.")
        .takes::<Forgot>()
        .gives::<Done>("If there is an account, a mail is on its way.")
        .fails(&[
            Code::MalformedRequest,
            Code::CaptchaInvalid,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
