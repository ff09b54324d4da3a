//! Endpoints for project keys, which are service accounts.

pub mod create;
pub mod list;
pub mod revoke;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::team::keys::{self, ProjectKey};

/// A project's key, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// `client_id` at `/api/token`; `client_id` and `sub` of the key's tokens.
    id: String,
    /// What you call it.
    name: String,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// The member who made it; null where they are gone.
    created_by: Option<String>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339: void from then on; null: never.
    expires_at: Option<String>,
    /// RFC 3339, to the minute: when it last proved itself; null: never.
    last_used_at: Option<String>,
}

impl From<ProjectKey> for KeyView {
    fn from(key: ProjectKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            scopes: keys::scopes(&key.scopes),
            created_by: key.created_by.map(|id| id.to_string()),
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
            last_used_at: key.last_used_at.map(rfc3339),
        }
    }
}
