//! Teams.

pub mod create;
pub mod delete;
pub mod list;
pub mod show;
pub mod switch;
pub mod update;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::http::fields;
use crate::http::json::{Object, Rule};
use crate::http::request::Request;
use crate::problem::Problem;
use crate::team::Slug;
use crate::team::TeamState;
use crate::team::slug::SlugError;
use crate::team::teams::MyTeam;
use crate::user::PersonName;

/// A team, as its members see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamView {
    /// `tid` of the vaultToken.
    id: String,
    /// Its name.
    name: String,
    /// For URLs, unique.
    slug: String,
    /// What you are in it.
    role: String,
    /// RFC 3339.
    created_at: String,
    /// There and true where the operator has disabled the team: then its tokens open nothing, and it can be looked at, left
    /// and deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    disabled: bool,
}

impl From<MyTeam> for TeamView {
    fn from(team: MyTeam) -> Self {
        let MyTeam { id, name, slug, role, created_at, status } = team;
        let disabled = status == TeamState::Disabled;
        Self { id: id.to_string(), name, slug, role, created_at: rfc3339(created_at), disabled }
    }
}

/// What a team or a project is made of.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Named {
    /// 1 to 100 characters.
    name: String,
    /// 1 to 63 of `a-z`, `0-9` and `-`; made from the name where it is missing.
    slug: Option<String>,
}

/// What changes; what is missing stays.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Renamed {
    /// 1 to 100 characters.
    name: Option<String>,
    /// 1 to 63 of `a-z`, `0-9` and `-`.
    slug: Option<String>,
}

/// Proof that it is meant.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Confirmation {
    /// The name of what is to be deleted, as it stands.
    name: String,
}

/// `name` and `slug` of what is to be made.
pub fn named(request: &Request) -> Result<(PersonName, Option<Slug>), Problem> {
    let mut body = request.json()?;
    let (name, slug) = (fields::name(&mut body), slug(&mut body));
    body.finish()?;
    let name = name.ok_or(crate::problem::Code::ValidationFailed)?;
    Ok((name, slug))
}

/// `name` and `slug` of what changes, each where it is there.
pub fn renamed(request: &Request) -> Result<(Option<PersonName>, Option<Slug>), Problem> {
    let mut body = request.json()?;
    let name = body.optional_text("name");
    let name = name.and_then(|text| body.check("name", PersonName::parse(&text)));
    let slug = slug(&mut body);
    body.finish()?;
    Ok((name, slug))
}

/// The name that confirms a deletion.
pub fn confirmation(request: &Request) -> Result<String, Problem> {
    let mut body = request.json()?;
    let name = body.text("name");
    body.finish()?;
    Ok(name)
}

fn slug(body: &mut Object) -> Option<Slug> {
    let text = body.optional_text("slug")?;
    body.check("slug", Slug::parse(&text))
}

impl Rule for SlugError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "too-short",
            Self::TooLong => "too-long",
            Self::Format => "format",
        }
    }
}
