//! `GET /api/me`: shows the caller's account.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::rfc3339;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

/// A user, with the team and the project that the session uses.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The id of the user. It is `sub` in the tokens.
    id: String,
    /// The email address, as the user typed it.
    email: String,
    /// Whether the email address is verified.
    email_verified: bool,
    /// The name of the user.
    name: String,
    /// When the account was created (RFC 3339).
    created_at: String,
    /// The team that the session uses. It is null if there is none, for example before the email
    /// address is verified.
    #[schema(required = true)]
    team: Option<Team>,
    /// The project that the session uses. It is null if there is none.
    #[schema(required = true)]
    project: Option<Project>,
}

#[derive(Serialize, ToSchema)]
struct Team {
    /// The id of the team. It is `tid` in the vaultToken.
    id: String,
    /// The name of the team.
    name: String,
    /// The role of the user: `owner`, `admin`, `member` or `viewer`.
    role: String,
    /// This member is present only if the session cannot use the team. Its value is the code of the
    /// problem that requests about the team get: `team-factor-required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct Project {
    /// The id of the project. It is `pid` in the vaultToken.
    id: String,
    /// The name of the project.
    name: String,
}

impl From<&Principal> for Me {
    fn from(caller: &Principal) -> Self {
        let standing = &caller.standing;
        let membership = standing.membership.as_ref();
        let project = membership.and_then(|membership| membership.project.as_ref());
        Self {
            id: standing.id.to_string(),
            email: standing.email.clone(),
            email_verified: standing.is_verified(),
            name: standing.name.clone(),
            created_at: rfc3339(standing.created_at),
            team: membership.map(|membership| Team {
                id: membership.team_id.to_string(),
                name: membership.team_name.clone(),
                role: membership.role.name().to_owned(),
                locked: caller.is_locked().then(|| Code::TeamFactorRequired.name()),
            }),
            project: project.map(|(id, name)| Project { id: id.to_string(), name: name.clone() }),
        }
    }
}

pub async fn handle(_: &App, _: &mut Request, caller: Principal) -> Result<Answer, Problem> {
    Ok(answer::json(&Me::from(&caller)))
}

pub fn operation() -> Operation {
    Operation::new("showMe", Tag::Account, "Show your account")
        .bearer()
        .gives::<Me>("The account, with the team and the project that the session uses.")
        .fails(&[Code::InvalidToken])
}
