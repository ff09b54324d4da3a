//! `PATCH /api/me`: changes what one is called.

use utoipa::ToSchema;

use super::show::Me;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::http::steps;
use crate::problem::{Code, Problem};
use crate::registration;
use crate::session::Caller;

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
    mut caller: Caller,
) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let name = steps::name(&mut body);
    body.finish()?;
    let Some(name) = name else { return Err(Code::ValidationFailed.into()) };
    let (user_id, origin) = (caller.standing.id, request.origin());
    let new_name = name.as_str().to_owned();
    caller.standing.name.clone_from(&new_name);
    let ask = |reply| registration::Message::Rename { user_id, name: new_name, origin, reply };
    app.pools.registration.ask(request.cx.deadline, ask).await??;
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
