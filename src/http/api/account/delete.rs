//! `DELETE /api/me`: deletes the user's data, every session of the user, and the teams that have no
//! other member.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::fields;
use crate::http::json::Object;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::Principal;

request_body! {
    /// The confirmation of the deletion.
    pub struct DeleteAccount {
        /// The current password. It may be missing if the account has a second factor.
        password: Option<Secret<String>>,
    }
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let body = if request.body.is_empty() { Object::default() } else { request.json()? };
    let DeleteAccount { password } = DeleteAccount::read_and_check(body, |body, (password,)| {
        fields::require_password(body, &caller, password.as_ref());
    })?;
    app.account().delete(&mut request.as_client(), &caller, password).await?;
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::new("deleteMe", Tag::Account, "Delete your account")
        .describes(
            "Your teams that have no other members are deleted too. If you are the only owner of a \
             team that has other members, the request is refused with `conflict`.",
        )
        .bearer()
        .takes::<DeleteAccount>()
        .optional()
        .gives_nothing("The account is deleted.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::InvalidToken,
            Code::StepUpRequired,
            Code::Conflict,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
