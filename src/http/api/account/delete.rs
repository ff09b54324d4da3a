//! `DELETE /api/me`: removes the person's data, every session, and the teams that nobody else is in.

use opentelemetry::KeyValue;
use utoipa::ToSchema;

use crate::account::Deleted;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::guess;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

/// Proof that it is meant.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Delete {
    /// The present password.
    password: String,
}

/// The handler.
pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let password = body.secret("password");
    body.finish()?;
    guess::confirm(app, request, &caller, password, "delete-account").await?;
    let user_id = caller.standing.id;
    match app.accounts.delete(request.call(), user_id).await? {
        Deleted::OwnsTeams(names) => Err(Problem::new(Code::Conflict).detail(format!(
            "You alone own teams that have other members: {}. Hand them over or delete them first.",
            names.join(", ")
        ))),
        Deleted::Now => {
            // The person is gone from the database: what is left in the store opens nothing, and expires.
            if let Err(error) = app.store.forget_user(user_id).await {
                tracing::warn!(error = %error, "a deleted person's sessions stay in the token store until they expire");
            }
            app.metrics.sessions_revoked.add(1, &[KeyValue::new("reason", "deleted")]);
            Ok(answer::no_content())
        }
    }
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("deleteMe", Tag::Account, "Delete your account")
        .describes("Teams without another member go with you; teams with others that you alone own forbid it.")
        .bearer()
        .takes::<Delete>()
        .gives_nothing("The account is gone.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::InvalidToken,
            Code::Conflict,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
