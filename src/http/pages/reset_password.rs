//! `/reset-password`: the page behind a recovery link. GET changes nothing. POST sets the password,
//! or requests a new mail.

use hyper::header::{self, HeaderValue};

use super::trouble::failed;
use super::{Captcha, MailRequest, ResetPassword, VendorCaptcha};
use crate::account::{AccountError, RecoveryLink};
use crate::app::App;
use crate::captcha::vendor::action;
use crate::config::CaptchaPoint;
use crate::http::answer::{self, Answer};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::user::EmailAddress;

const PATH: &str = "/reset-password";

/// `GET /reset-password?token=…`
pub async fn show(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let Some(token) = request.query("token")? else {
        return render(&ResetPassword::Ask(ask(app, "", None)));
    };
    state_of(app, &token).await
}

/// The page for the current state of a link. If a user sends the form twice, the second response
/// says that the password is set.
async fn state_of(app: &App, token: &str) -> Result<Answer, Problem> {
    match app.account().recovery_link(token).await {
        Ok(RecoveryLink::Ready) => render(&ready(app, token, None)),
        Ok(RecoveryLink::Done) => render(&ResetPassword::AlreadyDone),
        Ok(RecoveryLink::Invalid) => render(&ResetPassword::Invalid(ask(app, "", None))),
        Err(error) => failed(&error.into(), PATH, token),
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
        let typed = field("email");
        let vendors = app.captcha.vendor().map(|vendor| vendor.driver().widget.field);
        let captcha = match (field("captcha"), vendors) {
            (own, Some(vendors)) if own.is_empty() => field(vendors),
            (own, _) => own,
        };
        return request_mail(app, request, &typed, captcha).await;
    }
    let (token, new_password) = (Secret::new(field("token")), Secret::new(field("newPassword")));
    let mut client = request.as_client();
    let reset = app.account().reset_password(&mut client, &token, new_password).await;
    match reset {
        Ok(_) => render(&ResetPassword::Done),
        Err(AccountError::LinkInvalid) => state_of(app, token.expose()).await,
        Err(AccountError::WeakPassword(weakness)) => {
            render(&ready(app, token.expose(), Some(&weakness.to_string())))
        }
        Err(error) => failed(&error.into(), PATH, token.expose()),
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
            return render(&ResetPassword::Ask(ask(app, typed, Some(&error))));
        }
    };
    let mut client = request.as_client();
    let asked = app.account().forgot(&mut client, email, Some(captcha)).await;
    match asked {
        Ok(()) => render(&ResetPassword::Requested),
        Err(AccountError::CaptchaNeeded { .. }) => {
            let error = "The robot check failed. Turn on JavaScript for this page and try again.";
            render(&ResetPassword::Ask(ask(app, typed, Some(error))))
        }
        Err(error) => failed(&error.into(), PATH, ""),
    }
}

fn ready<'a>(app: &App, token: &'a str, error: Option<&'a str>) -> ResetPassword<'a> {
    ResetPassword::Ready { token, min_length: app.config.password.min_length, error }
}

fn ask<'a>(app: &'a App, email: &'a str, error: Option<&'a str>) -> MailRequest<'a> {
    MailRequest { captcha: captcha(app), email, error }
}

/// The captcha that the form requires. If the settings allow the fallback, it is the proof of work
/// while the vendor is known to be down.
fn captcha(app: &App) -> Captcha<'_> {
    let judge = &app.captcha;
    let vendor = judge.vendor().filter(|_| !(judge.falls_back() && judge.is_in_doubt()));
    match vendor {
        _ if !app.captchas.is_needed(CaptchaPoint::Forgot) => Captcha::NotNeeded,
        None => Captcha::Needed,
        Some(vendor) => Captcha::Vendor(VendorCaptcha {
            widget: &vendor.driver().widget,
            site_key: vendor.site_key().unwrap_or_default(),
            action: action(CaptchaPoint::Forgot),
            falls_back: judge.falls_back(),
        }),
    }
}

fn render(view: &ResetPassword<'_>) -> Result<Answer, Problem> {
    let mut answer = answer::view(view.status(), super::reset_password(view), None)?;
    if let ResetPassword::Ask(asks) | ResetPassword::Invalid(asks) = view
        && let Captcha::Vendor(vendor) = asks.captcha
    {
        let policy = super::captcha::csp_with(&vendor.widget.sources);
        let policy = HeaderValue::from_str(&policy).map_err(|_| Code::InternalError)?;
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(answer)
}
