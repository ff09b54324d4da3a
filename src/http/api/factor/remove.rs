//! `DELETE /api/me/factors/{id}`: removes a factor.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let ids = (&caller, request.id("id")?);
    app.account().remove_factor(&request.as_client(), ids).await?;
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::new("removeFactor", Tag::Factor, "Remove a second factor")
        .describes(
            "The last factor takes the recovery codes with it. From then on a login needs only the \
             password, and every session of the account counts as authenticated with one factor.",
        )
        .bearer()
        .path("id", "The id of the factor.")
        .gives_nothing("The factor is removed.")
        .fails(&[Code::InvalidToken, Code::StepUpRequired, Code::EmailUnverified, Code::NotFound])
}
