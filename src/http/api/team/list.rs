//! `GET /api/teams`: lists the caller's teams.

use serde::Serialize;
use utoipa::ToSchema;

use super::TeamView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::paging::Page;
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;
use crate::team::teams;

/// A page of teams.
#[derive(Serialize, ToSchema)]
pub struct Teams {
    /// The teams, in the order in which they were created.
    items: Vec<TeamView>,
    /// Send this value as `cursor` to get the next page. It is null on the last page.
    #[schema(required = true)]
    next: Option<String>,
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let page = Page::of(request)?;
    let mut found = teams::of_user(&app.db, caller.standing.id, page.after, page.rows()).await?;
    let next = page.cut(&mut found, |team| team.id);
    let items = found.into_iter().map(TeamView::from).collect();
    Ok(answer::json(&Teams { items, next }))
}

pub fn operation() -> Operation {
    Operation::new("listTeams", Tag::Team, "List your teams")
        .bearer()
        .paged()
        .gives::<Teams>("A page of teams.")
        .fails(&[Code::InvalidToken, Code::EmailUnverified, Code::ValidationFailed])
}
