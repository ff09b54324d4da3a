//! `POST /api/teams/{tid}/projects/{pid}/keys`: creates a key. Only this response shows its secret.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat};
use utoipa::openapi::{RefOr, Schema};

use super::KeyView;
use crate::app::App;
use crate::clock::{UnixMillis, from_rfc3339};
use crate::http::answer::{self, Answer};
use crate::http::body_type::{
    BrokenRule, Member as BodyMember, RequestBody, Text, list_schema, request_body,
};
use crate::http::json::Object;
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::keys::{self, NewKey};
use crate::team::roles::SCOPES;
use crate::telemetry::labels::TenancyChange;
use crate::user::PersonName;

request_body! {
    /// The key to create.
    pub struct CreateKey {
        /// The name of the key, 1 to 100 characters.
        name: PersonName,
        /// At least one of `vault:read`, `vault:write`, `vault:manage` and `team:own`. A scope must
        /// not be above your own role.
        scopes: Scopes,
        /// When the key expires (RFC 3339). The time must be in the future. If this member is
        /// missing, the key is valid until it is revoked.
        expires_at as "expiresAt": Option<Timestamp>,
    }
}

/// A new project key with its secret.
#[derive(Serialize, ToSchema)]
pub struct NewKeyView {
    #[serde(flatten)]
    key: KeyView,
    /// The whole key: `lk_<id without hyphens>_<secret>`. It is the `client_secret` for
    /// `/api/token`. Store it now, because latchkey never shows it again.
    secret: String,
}

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let wanted = read(request, app.clock.now())?;
    let project = request.id("pid")?;
    let most = app.config.teams.keys_max;
    let made =
        keys::create(&change_context(app, request), member.actor, project, wanted, most).await?;
    app.metrics.tenancy_changes.one(TenancyChange::KeyCreated);
    let (key, secret) = made;
    Ok(answer::json(&NewKeyView { key: key.into(), secret: secret.expose().clone() }))
}

fn read(request: &Request, now: UnixMillis) -> Result<NewKey, Problem> {
    let CreateKey { name, scopes, expires_at } =
        CreateKey::read_and_check(request.json()?, |body, (_, _, expires_at)| {
            if matches!(expires_at, Some(Some(at)) if at.0 <= now) {
                body.reject("expiresAt", "range", "`expiresAt` must be in the future.");
            }
        })?;
    let (name, expires_at) = (name.as_str().to_owned(), expires_at.map(|at| at.0));
    Ok(NewKey { name, scopes: scopes.0, expires_at })
}

/// The requested scopes, in the order of the table `SCOPES`.
#[derive(Debug)]
pub struct Scopes(Vec<&'static str>);

impl BodyMember for Scopes {
    const REQUIRED: bool = true;

    fn read(body: &mut Object, name: &'static str) -> Option<Self> {
        let asked = body.texts(name)?;
        let known: Vec<&str> = SCOPES.iter().map(|(name, _, _)| *name).collect();
        if asked.is_empty() {
            body.reject(name, "too-short", "`scopes` must contain at least one scope.");
        }
        if asked.iter().any(|scope| !known.contains(&scope.as_str())) {
            let names = known.join(", ");
            body.reject(name, "unknown", format_args!("`scopes` may contain only: {names}."));
        }
        let asked = |name: &&str| asked.iter().any(|scope| scope == name);
        Some(Self(known.into_iter().filter(asked).collect()))
    }

    fn schema() -> RefOr<Schema> {
        list_schema(SCOPES.iter().map(|(name, _, _)| *name))
    }
}

/// A point in time, written as RFC 3339.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp(UnixMillis);

impl Text for Timestamp {
    type Error = BrokenRule;

    fn parse(text: String) -> Result<Self, BrokenRule> {
        let malformed = BrokenRule("format", "`expiresAt` must be a time in RFC 3339 format.");
        from_rfc3339(&text).map(Self).ok_or(malformed)
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        schema.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
    }
}

pub fn operation() -> Operation {
    Operation::of_roles("createKey", Tag::Key, "Create a project key")
        .describes(
            "A key is a service account. A program exchanges its key at `/api/token` for vaultTokens \
             of this team and project. The key belongs to the project and stays valid after its \
             creator has left the team. If a scope is above your own role, the response is a 403.",
        )
        .path("pid", "The id of the project.")
        .takes::<CreateKey>()
        .gives::<NewKeyView>("The key with its secret. Only this response shows the secret.")
        .fails(&[Code::MalformedRequest, Code::StepUpRequired, Code::Conflict, Code::ValidationFailed])
}
