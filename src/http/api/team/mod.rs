//! Endpoints for teams.

pub mod create;
pub mod delete;
pub mod list;
pub mod show;
pub mod switch;
pub mod update;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::http::body_type::request_body;
use crate::http::json::Rule;
use crate::team::Slug;
use crate::team::TeamState;
use crate::team::slug::SlugError;
use crate::team::teams::MyTeam;
use crate::user::PersonName;

/// A team, as its members see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamView {
    /// The id of the team. It is `tid` in the vaultToken.
    id: String,
    /// The name of the team.
    name: String,
    /// A short name for URLs. It is unique.
    slug: String,
    /// Your role in the team.
    role: String,
    /// When the team was created (RFC 3339).
    created_at: String,
    /// This member is present and true only if the operator has disabled the team. The tokens of a
    /// disabled team give no access. The members can only view the team and leave it. The owners
    /// can also delete the team.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    disabled: bool,
}

impl From<MyTeam> for TeamView {
    fn from(team: MyTeam) -> Self {
        let MyTeam { id, name, slug, role, created_at, status, require_factor: _ } = team;
        let disabled = status == TeamState::Disabled;
        Self { id: id.to_string(), name, slug, role, created_at: rfc3339(created_at), disabled }
    }
}

/// A team, with its policy.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamWithPolicy {
    #[serde(flatten)]
    team: TeamView,
    /// Whether members need a session with two factors (`aal2`) to use the team.
    require_factor: bool,
}

impl From<MyTeam> for TeamWithPolicy {
    fn from(team: MyTeam) -> Self {
        let require_factor = team.require_factor;
        Self { team: team.into(), require_factor }
    }
}

request_body! {
    /// The name and the slug of a new team or project.
    pub struct NewName {
        /// The name, 1 to 100 characters.
        name: PersonName,
        /// The slug, 1 to 63 characters of `a-z`, `0-9` and `-`. If it is missing, latchkey derives
        /// the slug from the name.
        slug: Option<Slug>,
    }
}

request_body! {
    /// The changes of a project. If a member of the body is missing, its value stays as it
    /// is.
    pub struct ChangedName {
        /// The new name, 1 to 100 characters.
        name: Option<PersonName>,
        /// The new slug, 1 to 63 characters of `a-z`, `0-9` and `-`.
        slug: Option<Slug>,
    }
}

request_body! {
    /// The changes of a team. If a member of the body is missing, its value stays as it is.
    pub struct ChangedTeam {
        /// The new name, 1 to 100 characters.
        name: Option<PersonName>,
        /// The new slug, 1 to 63 characters of `a-z`, `0-9` and `-`.
        slug: Option<Slug>,
        /// Whether members need a session with two factors (`aal2`) to use the team. Only an owner
        /// with a fresh proof of two factors can send this member.
        require_factor as "requireFactor": Option<bool>,
    }
}

request_body! {
    /// The confirmation of a deletion.
    pub struct Confirmation {
        /// The current name of the team or project that you delete.
        name: String,
    }
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
