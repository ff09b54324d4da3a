//! Endpoints for project keys, which are service accounts.

pub mod create;
pub mod list;
pub mod revoke;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::team::keys::{self, ProjectKey};

/// A project key, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// The id of the key. Send it as `client_id` to `/api/token`. The tokens of the key contain it
    /// as `client_id` and `sub`.
    id: String,
    /// The name of the key.
    name: String,
    /// The scopes of the key.
    scopes: Vec<&'static str>,
    /// The id of the user who created the key. It is null if the user's account is deleted.
    #[schema(required = true)]
    created_by: Option<String>,
    /// When the key was created (RFC 3339).
    created_at: String,
    /// When the key expires (RFC 3339). It is null if the key never expires.
    #[schema(required = true)]
    expires_at: Option<String>,
    /// When the key was last used (RFC 3339, accurate to the minute). It is null if the key was
    /// never used.
    #[schema(required = true)]
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
