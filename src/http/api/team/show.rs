//! `GET /api/teams/{tid}`: shows one team.

use super::TeamWithPolicy;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::Member;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::teams;

pub async fn handle(app: &App, _: &mut Request, member: Member) -> Result<Answer, Problem> {
    let found = teams::show(&app.db, member.team_id(), member.role).await?;
    Ok(answer::json(&TeamWithPolicy::from(found.ok_or(Code::NotFound)?)))
}

pub fn operation() -> Operation {
    Operation::of_seen_team("showTeam", Tag::Team, "Show a team")
        .describes(
            "Every member can see the team, also in a session without the second factor that the \
             team requires.",
        )
        .gives::<TeamWithPolicy>("The team.")
}
