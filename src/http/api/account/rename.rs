//! `PATCH /api/me`: changes what one is called.

use utoipa::ToSchema;

use super::show::Me;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::fields;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

/// What changes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Rename {
    /// 1 to 100 characters.
    name: String,
}

/// The handler.
pub async fn handle(
    app: &App,
    request: &mut Request,
    mut caller: Principal,
) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let name = fields::name(&mut body);
    body.finish()?;
    let Some(name) = name else { return Err(Code::ValidationFailed.into()) };
    let new_name = name.as_str().to_owned();
    caller.standing.name.clone_from(&new_name);
    app.accounts.rename(request.call(), caller.standing.id, new_name).await?;
    Ok(answer::json(&Me::from(&caller.standing)))
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("renameMe", Tag::Account, "Change your name")
        .bearer()
        .takes::<Rename>()
        .gives::<Me>("The account with its new name.")
        .fails(&[Code::MalformedRequest, Code::InvalidToken, Code::ValidationFailed])
}
