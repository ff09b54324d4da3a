//! Endpoints for the projects of a team.

pub mod create;
pub mod delete;
pub mod list;
pub mod show;
pub mod update;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::team::projects::Project;

/// A project.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectView {
    /// `pid` of the vaultToken.
    id: String,
    /// Its name.
    name: String,
    /// For URLs, unique within the team.
    slug: String,
    /// RFC 3339.
    created_at: String,
}

impl From<Project> for ProjectView {
    fn from(project: Project) -> Self {
        let Project { id, name, slug, created_at, team_id: _ } = project;
        Self { id: id.to_string(), name, slug, created_at: rfc3339(created_at) }
    }
}
