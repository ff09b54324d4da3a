//! `GET /api/resend-email-verification`: mails the confirmation again; the older link is dead.

use crate::account::Verified;
use crate::app::App;
use crate::config::CaptchaPoint;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::http::steps;
use crate::limits::Action;
use crate::limits::budgets::Budget;
use crate::problem::{Code, Problem};
use crate::session::{Principal, Tokens};

/// The handler.
pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    steps::limit(app, request, Action::Resend)?;
    if caller.standing.is_verified() {
        return Err(Code::AlreadyVerified.into());
    }
    let payload = steps::captcha_of_query(request)?;
    let captcha = steps::captcha(app, request, CaptchaPoint::Resend, payload).await?;
    let deadline = request.cx.deadline;
    let address = &caller.standing.email_normal;
    let spent = app.budgets.mailbox(Budget::Confirmations, address, captcha, deadline).await;
    steps::within(spent)?;
    match app.accounts.resend_confirmation(request.call(), caller.standing.id).await? {
        Verified::Now => {}
        Verified::Already => return Err(Code::AlreadyVerified.into()),
        Verified::Gone => return Err(Code::InvalidToken.into()),
    }
    steps::nudge_mailer(app);
    Ok(answer::json(&steps::tokens(app, &caller.session, &caller.standing)?))
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("resendEmailVerification", Tag::Email, "Mail the confirmation again")
        .describes("The older link is dead.")
        .bearer()
        .captcha()
        .gives::<Tokens>("Tokens of the same session, not rotated.")
        .fails(&[
            Code::CaptchaInvalid,
            Code::InvalidToken,
            Code::Forbidden,
            Code::AlreadyVerified,
            Code::RateLimited,
        ])
}
