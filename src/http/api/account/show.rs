//! `GET /api/me`: shows the caller's account.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::rfc3339;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::AccountStatus;
use crate::session::Principal;

/// A person, and where they are.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// `sub` of the tokens.
    id: String,
    /// As typed.
    email: String,
    /// Whether the address is proven.
    email_verified: bool,
    /// What the person is called.
    name: String,
    /// RFC 3339.
    created_at: String,
    /// The team in use; null before the address is proven.
    team: Option<Team>,
    /// The project in use.
    project: Option<Project>,
}

#[derive(Serialize, ToSchema)]
struct Team {
    /// `tid` of the vaultToken.
    id: String,
    /// Its name.
    name: String,
    /// `owner`, `admin`, `member` or `viewer`.
    role: String,
}

#[derive(Serialize, ToSchema)]
struct Project {
    /// `pid` of the vaultToken.
    id: String,
    /// Its name.
    name: String,
}

impl From<&AccountStatus> for Me {
    fn from(standing: &AccountStatus) -> Self {
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
            }),
            project: project.map(|(id, name)| Project { id: id.to_string(), name: name.clone() }),
        }
    }
}

pub async fn handle(_: &App, _: &mut Request, caller: Principal) -> Result<Answer, Problem> {
    Ok(answer::json(&Me::from(&caller.standing)))
}

pub fn operation() -> Operation {
    Operation::new("showMe", Tag::Account, "Show your account")
        .bearer()
        .gives::<Me>("The account, with the team and project in use.")
        .fails(&[Code::InvalidToken])
}
