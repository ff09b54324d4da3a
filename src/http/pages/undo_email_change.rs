//! `/undo-email-change`: the page behind the undo link in the notice about a change of address.

use super::trouble::failed;
use super::{UndoEmailChange, words};
use crate::account::Undone;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::request::Request;
use crate::problem::Problem;

/// The data of a state of the page. It is kept until the page is rendered.
enum State {
    Ready { email_masked: String, changed_at: i64 },
    Undone,
    AddressTaken,
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
    let undone = app.account().undo_email_change(&mut request.as_client(), &token).await;
    let undone = undone.map_err(Problem::from).map(|undone| match undone {
        Undone::Now => State::Undone,
        Undone::AddressTaken => State::AddressTaken,
        Undone::Gone => State::Invalid,
    });
    rendered(&undone, &token)
}

async fn look(app: &App, token: &str) -> Result<State, Problem> {
    Ok(match app.account().preview_undo(token).await? {
        Some(undo) => State::Ready {
            email_masked: words::masked(&undo.old_email),
            changed_at: undo.changed_at,
        },
        None => State::Invalid,
    })
}

fn rendered(state: &Result<State, Problem>, token: &str) -> Result<Answer, Problem> {
    let view = match state {
        Ok(State::Ready { email_masked, changed_at }) => {
            UndoEmailChange::Ready { token, email_masked, changed_at: Some(*changed_at) }
        }
        Ok(State::Undone) => UndoEmailChange::Undone,
        Ok(State::AddressTaken) => UndoEmailChange::AddressTaken,
        Ok(State::Invalid) => UndoEmailChange::Invalid,
        Err(problem) => return failed(problem, "/undo-email-change", token),
    };
    answer::view(view.status(), super::undo_email_change(&view), None)
}
