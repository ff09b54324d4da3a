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

/// A project of a team.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectView {
    /// The id of the project. It is `pid` in the vaultToken.
    id: String,
    /// The name of the project.
    name: String,
    /// A short name for URLs. It is unique within the team.
    slug: String,
    /// When the project was created (RFC 3339).
    created_at: String,
}

impl From<Project> for ProjectView {
    fn from(project: Project) -> Self {
        let Project { id, name, slug, created_at, team_id: _ } = project;
        Self { id: id.to_string(), name, slug, created_at: rfc3339(created_at) }
    }
}
