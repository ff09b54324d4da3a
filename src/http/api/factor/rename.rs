//! `PATCH /api/me/factors/{id}`: gives a factor another name.

use super::FactorView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;
use crate::user::PersonName;

request_body! {
    /// The new name of a factor.
    pub struct RenameFactor {
        /// The name, 1 to 100 characters.
        name: PersonName,
    }
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let id = request.id("id");
    let RenameFactor { name } = RenameFactor::read(request.json()?)?;
    let (client, ids) = (request.as_client(), (&caller, id?));
    let factor = app.account().rename_factor(&client, ids, name.as_str().to_owned()).await?;
    Ok(answer::json(&FactorView::from(factor)))
}

pub fn operation() -> Operation {
    Operation::new("renameFactor", Tag::Factor, "Rename a second factor")
        .bearer()
        .path("id", "The id of the factor.")
        .takes::<RenameFactor>()
        .gives::<FactorView>("The factor.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidToken,
            Code::EmailUnverified,
            Code::NotFound,
            Code::ValidationFailed,
        ])
}
