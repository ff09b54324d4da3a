//! `/undo-email-change`: the page behind the undo link in the notice of a change of address.

use latchkey_entity::email_change::{self, EmailChangeState};
use opentelemetry::KeyValue;

use super::trouble::failed;
use super::{UndoEmailChange, words};
use crate::account::Undone;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::request::Request;
use crate::http::steps;
use crate::limits::Action;
use crate::mail::undo as undo_link;
use crate::problem::Problem;
use crate::secret::sha256;

/// What a state shows, held until it is rendered.
enum State {
    Ready { email_masked: String, changed_at: i64 },
    Undone,
    Invalid,
}

/// `GET /undo-email-change?token=…`
pub async fn show(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let token = request.query("token")?.unwrap_or_default();
    let looked = look(app, &token).await;
    rendered(&looked, &token)
}

/// `POST /undo-email-change`
pub async fn submit(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let form = request.form()?;
    let token = form.into_iter().find(|(key, _)| key == "token").map(|(_, token)| token);
    let token = token.unwrap_or_default();
    let undone = async {
        steps::limit(app, request, Action::Verify)?;
        undo(app, request, &token).await
    };
    let undone = undone.await;
    rendered(&undone, &token)
}

async fn look(app: &App, token: &str) -> Result<State, Problem> {
    Ok(match change_of(app, token).await? {
        Some(change) if change.state != EmailChangeState::Undone => State::Ready {
            email_masked: words::masked(&change.old_email),
            changed_at: change.created_at,
        },
        _ => State::Invalid,
    })
}

async fn undo(app: &App, request: &Request, token: &str) -> Result<State, Problem> {
    let Some(change) = change_of(app, token).await? else { return Ok(State::Invalid) };
    Ok(match app.accounts.undo_email_change(request.call(), change.id).await? {
        Undone::Now => {
            let reason = KeyValue::new("reason", "email_change_undone");
            app.metrics.sessions_revoked.add(1, &[reason]);
            State::Undone
        }
        Undone::Gone => State::Invalid,
    })
}

async fn change_of(app: &App, token: &str) -> Result<Option<email_change::Model>, Problem> {
    Ok(undo_link::find(&app.db, &sha256(token.as_bytes()), app.clock.now()).await?)
}

fn rendered(state: &Result<State, Problem>, token: &str) -> Result<Answer, Problem> {
    let view = match state {
        Ok(State::Ready { email_masked, changed_at }) => {
            UndoEmailChange::Ready { token, email_masked, changed_at: Some(*changed_at) }
        }
        Ok(State::Undone) => UndoEmailChange::Undone,
        Ok(State::Invalid) => UndoEmailChange::Invalid,
        Err(problem) => return failed(problem, "/undo-email-change", token),
    };
    answer::view(view.status(), super::undo_email_change(&view), None)
}
