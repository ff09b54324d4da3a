//! `GET /api/exist-email/{email}`: reports whether an email address has an account.
//!
//! The API promises this information, so latchkey limits how often a client may request it. With
//! the setting `registration.expose_existence`, an operator can require a captcha or turn the
//! endpoint off.

use crate::admission::{Action, Ask};
use crate::app::App;
use crate::captcha::Demand;
use crate::config::{CaptchaPoint, ExposeExistence};
use crate::http::answer::{self, Answer};
use crate::http::fields;
use crate::http::json::{Object, Rule as _};
use crate::http::limit;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::user::{EmailAddress, table};

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let exposure = app.config.registration.expose_existence;
    if exposure == ExposeExistence::Off {
        return Err(Code::NotFound.into());
    }
    // A value that is not UTF-8 is read as an empty text, which is not an email address.
    let text = request.param("email").unwrap_or_default();
    let email = EmailAddress::parse(&text).map_err(|rule| {
        let mut told = Object::default();
        told.reject("email", rule.code(), rule);
        told.finish().err().unwrap_or_else(|| Code::ValidationFailed.into())
    })?;
    limit::admit(app, request, Ask::Action(Action::ExistEmail)).await?;
    let needed =
        exposure == ExposeExistence::Captcha || app.captchas.is_needed(CaptchaPoint::ExistEmail);
    let payload = fields::captcha_of_query(request)?;
    let client = (request.client(), request.cx.deadline);
    app.captchas.demand(client, Demand::usual(CaptchaPoint::ExistEmail, needed), payload).await?;
    let exists = table::is_registered(&app.db, email.normal()).await?;
    Ok(answer::json(&exists))
}

pub fn operation() -> Operation {
    Operation::new("existEmail", Tag::Email, "Check whether an email address has an account")
        .path("email", "The email address, percent-encoded.")
        .captcha()
        .gives::<bool>("`true` if the email address has an account, otherwise `false`.")
        .fails(&[Code::CaptchaInvalid, Code::NotFound, Code::ValidationFailed, Code::RateLimited])
}
