//! `POST /api/register`: creates an account and mails the link that confirms its email address.
//!
//! The checks run in this order: the rules of the form, the limits, the captcha, breached
//! passwords, whether the token store works, and the budget of mails to the email address. The
//! password is hashed only after all checks have passed. If the token store does not work, no
//! account is created. Without the budget, a client could flood the recipient with mails by
//! deleting its account and registering again.

use crate::account::RegistrationForm;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::fields;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::Tokens;
use crate::user::EmailAddress;
use crate::user::PersonName;

request_body! {
    /// The data of the new account.
    pub struct Register {
        /// The email address. latchkey mails a confirmation link to it.
        email: EmailAddress,
        /// The password, 8 to 256 characters. It is refused if it is common, if it is known from a
        /// data breach, or if it is the email address or the name.
        password: Secret<String>,
        /// The name of the user, 1 to 100 characters.
        name: PersonName,
        /// The solution of a captcha, if the operator requires one.
        captcha: Option<String>,
    }
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let result = register(app, request).await;
    app.account().count_registration(result.as_ref().err().map(|problem| problem.code));
    Ok(answer::json(&result?))
}

async fn register(app: &App, request: &mut Request) -> Result<Tokens, Problem> {
    let Register { email, password, name, captcha } =
        Register::read_and_check(request.json()?, |body, (email, password, name, _)| {
            let whose = (email.as_ref(), name.as_ref().map(PersonName::as_str));
            fields::policy(app, body, ("password", password), whose);
        })?;
    let form = RegistrationForm { email, name, password, captcha };
    Ok(app.account().register(&mut request.as_client(), form).await?)
}

pub fn operation() -> Operation {
    Operation::new("register", Tag::Account, "Create an account")
        .describes(
            "latchkey mails a confirmation link to the email address. Until the email address is \
             confirmed, the vaultToken gives no access.",
        )
        .takes::<Register>()
        .gives::<Tokens>("Tokens of the first session.")
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
