//! `POST /api/register`: makes an account and mails the link that confirms its address.
//!
//! Order: rules, limits, captcha, breaches, then whether the token store answers (else nothing is made) and the mailbox has
//! room for a mail (or whoever deletes and registers again floods it), and only then the hash.

use utoipa::ToSchema;

use crate::account::RegistrationForm;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::fields;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Tokens;
use crate::user::PersonName;

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
    app.account().count_registration(outcome);
    Ok(answer::json(&result?))
}

async fn register(app: &App, request: &mut Request) -> Result<Tokens, Problem> {
    let mut body = request.json()?;
    let email = fields::email(&mut body);
    let name = fields::name(&mut body);
    let password = body.secret("password");
    let captcha = body.optional_text("captcha");
    let known_name = name.as_ref().map(PersonName::as_str);
    fields::policy(app, &mut body, "password", &password, (email.as_ref(), known_name));
    body.finish()?;
    let (Some(email), Some(name)) = (email, name) else {
        return Err(Code::ValidationFailed.into());
    };
    let form = RegistrationForm { email, name, password, captcha };
    Ok(app.account().register(&mut request.as_client(), form).await?)
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
