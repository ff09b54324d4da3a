//! Endpoints for the members of a team.

pub mod change;
pub mod list;
pub mod remove;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::team::members::Member as Row;

/// A member, as the other members of the team see them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    /// The id of the user. It is `sub` in the user's tokens.
    user_id: String,
    /// The name of the user.
    name: String,
    /// The email address, as the user typed it.
    email: String,
    /// The role of the user: `owner`, `admin`, `member` or `viewer`.
    role: String,
    /// The epoch of the membership. It is `mep` in the user's vaultTokens. A vaultToken with a
    /// lower `mep` is out of date.
    epoch: i32,
    /// When the user joined the team (RFC 3339).
    joined_at: String,
}

impl From<Row> for MemberView {
    fn from(row: Row) -> Self {
        let Row { id: _, user_id, name, email, role, epoch, created_at } = row;
        let (user_id, joined_at) = (user_id.to_string(), rfc3339(created_at));
        Self { user_id, name, email, role, epoch, joined_at }
    }
}
