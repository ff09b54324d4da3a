//! `/reset-password`: the page behind a recovery link. GET changes nothing; POST sets the password, or asks for a new mail.

use super::{Captcha, MailRequest, ResetPassword};
use crate::account::EmailAddress;
use crate::account::standing::{Place, Standing};
use crate::app::App;
use crate::config::CaptchaPoint;
use crate::http::answer::{self, Answer};
use crate::http::api::{email, password};
use crate::http::dispatch;
use crate::http::request::Request;
use crate::http::steps;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::store::TokenKind;

/// `GET /reset-password?token=…`
pub async fn show(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let Some(token) = request.query("token")? else {
        return render(&ResetPassword::Ask(ask(app, "", None)), None);
    };
    match is_good(app, &token).await {
        Ok(Link::Good) => render(&ready(app, &token, None), None),
        Ok(Link::Dead) => render(&ResetPassword::Invalid(ask(app, "", None)), None),
        Err(problem) => failed(&problem, &token),
    }
}

/// `POST /reset-password`
pub async fn submit(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let mut form = request.form()?;
    let mut field = |name: &str| {
        let found = form.iter_mut().find(|(key, _)| key == name);
        found.map(|(_, value)| std::mem::take(value)).unwrap_or_default()
    };
    if field("action") == "request" {
        let (typed, captcha) = (field("email"), field("captcha"));
        return request_mail(app, request, &typed, captcha).await;
    }
    let (token, new_password) = (Secret::new(field("token")), Secret::new(field("newPassword")));
    match password::reset::reset(app, request, &token, new_password).await {
        Ok(()) => render(&ResetPassword::Done, None),
        Err(problem) => match problem.code {
            Code::TokenInvalid => render(&ResetPassword::Invalid(ask(app, "", None)), None),
            Code::ValidationFailed => {
                let error = problem.errors.first().map(|error| error.detail.as_str());
                render(&ready(app, token.expose(), error), None)
            }
            _ => failed(&problem, token.expose()),
        },
    }
}

async fn request_mail(
    app: &App,
    request: &mut Request,
    typed: &str,
    captcha: String,
) -> Result<Answer, Problem> {
    let email = match EmailAddress::parse(typed) {
        Ok(email) => email,
        Err(error) => {
            let error = error.to_string();
            return render(&ResetPassword::Ask(ask(app, typed, Some(&error))), None);
        }
    };
    match password::forgot::recover(app, request, email, Some(captcha)).await {
        Ok(()) => render(&ResetPassword::Requested, None),
        Err(problem) if problem.code == Code::CaptchaInvalid => {
            let error =
                "The proof of work was not done. Turn on scripts for this page, or try again.";
            render(&ResetPassword::Ask(ask(app, typed, Some(error))), None)
        }
        Err(problem) => failed(&problem, ""),
    }
}

/// Whether a link would set a password now.
enum Link {
    Good,
    Dead,
}

async fn is_good(app: &App, token: &str) -> Result<Link, Problem> {
    let found = email::verify::find(app, token).await?;
    let Some(found) = found.filter(|found| found.kind == TokenKind::Recover) else {
        return Ok(Link::Dead);
    };
    let standing = Standing::by_id(&app.db, found.user_id, Place::default()).await?;
    let good = standing.is_some_and(|standing| standing.password_version == found.stamp);
    Ok(if good { Link::Good } else { Link::Dead })
}

fn ready<'a>(app: &App, token: &'a str, error: Option<&'a str>) -> ResetPassword<'a> {
    ResetPassword::Ready { token, min_length: app.config.password.min_length, error }
}

fn ask<'a>(app: &App, email: &'a str, error: Option<&'a str>) -> MailRequest<'a> {
    let needed = steps::captcha_needed(app, CaptchaPoint::Forgot);
    let captcha = if needed { Captcha::Needed } else { Captcha::NotNeeded };
    MailRequest { captcha, email, error }
}

fn failed(problem: &Problem, token: &str) -> Result<Answer, Problem> {
    dispatch::log(problem);
    let retry_after_s = problem.retry_after.unwrap_or(1);
    let view = match problem.code {
        Code::RateLimited => ResetPassword::TooMany { token, retry_after_s },
        _ => ResetPassword::Unavailable { token },
    };
    render(&view, Some(retry_after_s))
}

fn render(view: &ResetPassword<'_>, retry_after_s: Option<u32>) -> Result<Answer, Problem> {
    answer::view(view.status(), super::reset_password(view), retry_after_s)
}
