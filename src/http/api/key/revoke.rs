//! `DELETE /api/teams/{tid}/projects/{pid}/keys/{kid}`: revokes a key and its tokens.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::Problem;
use crate::team::keys;
use crate::telemetry::labels::TenancyChange;

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let (project, key) = (request.id("pid")?, request.id("kid")?);
    keys::revoke(&change_context(app, request), member.actor, project, key).await?;
    app.metrics.tenancy_changes.one(TenancyChange::KeyRevoked);
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::of_roles("revokeKey", Tag::Key, "Revoke a project's key")
        .describes(
            "The key gets no more tokens. At introspection and forward-auth, its existing tokens are \
             inactive at once. Everywhere else, these tokens expire within `tokens.vault_ttl`.",
        )
        .path("pid", "The id of the project.")
        .path("kid", "The id of the key.")
        .gives_nothing("The key is revoked.")
}
