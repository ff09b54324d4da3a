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

request_body! {
    /// What a team or a project is made of.
    pub struct NewName {
        /// 1 to 100 characters.
        name: PersonName,
        /// 1 to 63 of `a-z`, `0-9` and `-`; made from the name where it is missing.
        slug: Option<Slug>,
    }
}

request_body! {
    /// What changes; what is missing stays.
    pub struct ChangedName {
        /// 1 to 100 characters.
        name: Option<PersonName>,
        /// 1 to 63 of `a-z`, `0-9` and `-`.
        slug: Option<Slug>,
    }
}

request_body! {
    /// Proof that it is meant.
    pub struct Confirmation {
        /// The name of what is to be deleted, as it stands.
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
