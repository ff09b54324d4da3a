//! `PATCH /api/me`: changes the user's name.

use super::show::Me;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;
use crate::user::PersonName;

request_body! {
    /// The change of the account.
    pub struct RenameAccount {
        /// The new name, 1 to 100 characters.
        name: PersonName,
    }
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    mut caller: Principal,
) -> Result<Answer, Problem> {
    let RenameAccount { name } = RenameAccount::read(request.json()?)?;
    let new_name = name.as_str().to_owned();
    caller.standing.name.clone_from(&new_name);
    app.accounts.rename(request.call(), caller.standing.id, new_name).await?;
    Ok(answer::json(&Me::from(&caller)))
}

pub fn operation() -> Operation {
    Operation::new("renameMe", Tag::Account, "Change your name")
        .bearer()
        .takes::<RenameAccount>()
        .gives::<Me>("The account with its new name.")
        .fails(&[Code::MalformedRequest, Code::InvalidToken, Code::ValidationFailed])
}
