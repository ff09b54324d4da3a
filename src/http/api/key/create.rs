//! `POST /api/teams/{tid}/projects/{pid}/keys`: a new key, whose secret is shown this once.

use serde::Serialize;
use utoipa::ToSchema;

use super::KeyView;
use crate::app::App;
use crate::clock::{UnixMillis, from_rfc3339};
use crate::http::answer::{self, Answer};
use crate::http::fields;
use crate::http::json::Object;
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::keys::{self, NewKey};
use crate::team::roles::SCOPES;

/// What the key is to be.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Make {
    /// 1 to 100 characters.
    name: String,
    /// At least one of `vault:read`, `vault:write`, `vault:manage` and `team:own`; none above your own role.
    scopes: Vec<String>,
    /// RFC 3339, in the future: void from then on. Where it is missing, the key holds until it is revoked.
    expires_at: Option<String>,
}

/// A key with its secret.
#[derive(Serialize, ToSchema)]
pub struct NewKeyView {
    #[serde(flatten)]
    key: KeyView,
    /// `lk_<id without hyphens>_<secret>`, the `client_secret` at `/api/token`. Keep it: nobody can show it again.
    secret: String,
}

/// The handler.
pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let wanted = read(request, app.clock.now())?;
    let project = request.id("pid")?;
    let most = app.config.teams.keys_max;
    let made =
        keys::create(&change_context(app, request), member.actor, project, wanted, most).await?;
    app.metrics.changed("key_created");
    let (key, secret) = made;
    Ok(answer::json(&NewKeyView { key: key.into(), secret: secret.expose().clone() }))
}

fn read(request: &Request, now: UnixMillis) -> Result<NewKey, Problem> {
    let mut body = request.json()?;
    let name = fields::name(&mut body);
    let scopes = scopes(&mut body);
    let end = body.optional_text("expiresAt").map(|text| from_rfc3339(&text));
    match end {
        Some(None) => {
            body.reject("expiresAt", "format", "`expiresAt` is a time as RFC 3339 has it.");
        }
        Some(Some(at)) if at <= now => {
            body.reject("expiresAt", "range", "`expiresAt` is in the future.");
        }
        _ => {}
    }
    body.finish()?;
    let name = name.ok_or(Code::ValidationFailed)?.as_str().to_owned();
    Ok(NewKey { name, scopes, expires_at: end.flatten() })
}

/// The scopes of the table that are asked for, in its order.
fn scopes(body: &mut Object) -> Vec<&'static str> {
    let asked = body.texts("scopes");
    let known: Vec<&'static str> = SCOPES.iter().map(|(name, _, _)| *name).collect();
    if asked.is_empty() {
        body.reject("scopes", "too-short", "`scopes` has at least one scope.");
    }
    if asked.iter().any(|scope| !known.contains(&scope.as_str())) {
        let names = known.join(", ");
        body.reject("scopes", "unknown", format_args!("`scopes` are of: {names}."));
    }
    known.into_iter().filter(|name| asked.iter().any(|scope| scope == name)).collect()
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::of_team("createKey", Tag::Key, "Make a project's key")
        .describes(
            "A service account: a program that shows the key at `/api/token` gets vaultTokens of this team and project. \
             It belongs to the project and stays when its maker goes. A scope above your own role is a 403.",
        )
        .path("pid", "The project.")
        .takes::<Make>()
        .gives::<NewKeyView>("The key, with its secret for this once.")
        .fails(&[Code::MalformedRequest, Code::Conflict, Code::ValidationFailed])
}
