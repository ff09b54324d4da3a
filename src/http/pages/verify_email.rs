//! `/verify-email`: the page behind a confirmation link. GET changes nothing. POST confirms the
//! address, or rejects it ("This was not me"). Rejecting the address of a registration deletes the
//! account. Neither GET nor POST opens a session.

use super::trouble::failed;
use super::{VerifyEmail, words};
use crate::account::{AccountError, Confirmation, ConfirmationPreview, RefusedLink};
use crate::admission::Client;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::request::Request;
use crate::problem::Problem;

/// `GET /verify-email?token=…`
pub async fn show(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let token = request.query("token")?.unwrap_or_default();
    let looked = look(app, &token).await;
    rendered(looked, &token)
}

/// `POST /verify-email`
pub async fn submit(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let form = request.form()?;
    let field = |name: &str| {
        form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let token = field("token");
    let rejects = field("action") == "reject";
    let mut client = request.as_client();
    let done = if rejects {
        reject(app, &mut client, &token).await
    } else {
        confirm(app, &mut client, &token).await
    };
    rendered(done, &token)
}

/// The data of a state of the page. It is kept until the page is rendered.
enum State {
    Ready { email_masked: String, created_at: i64, ip: String },
    ChangeReady { email_masked: String },
    Confirmed,
    Changed,
    Rejected,
    ChangeRejected,
    Already,
    Invalid,
}

/// Reads the state of a link without changing it.
async fn look(app: &App, token: &str) -> Result<State, Problem> {
    Ok(match app.account().preview_confirmation(token).await? {
        ConfirmationPreview::Account { email, created_at, created_ip } => {
            State::Ready { email_masked: words::masked(&email), created_at, ip: created_ip }
        }
        ConfirmationPreview::Change { new_email } => {
            State::ChangeReady { email_masked: words::masked(&new_email) }
        }
        ConfirmationPreview::Already => State::Already,
        ConfirmationPreview::Invalid => State::Invalid,
    })
}

async fn confirm(app: &App, client: &mut Client<'_>, token: &str) -> Result<State, Problem> {
    match app.account().confirm_link(client, token).await {
        Ok(Confirmation::Change) => Ok(State::Changed),
        Ok(Confirmation::Account) => Ok(State::Confirmed),
        Err(AccountError::AlreadyVerified) => Ok(State::Already),
        Err(AccountError::LinkInvalid | AccountError::EmailTaken) => Ok(State::Invalid),
        Err(error) => Err(error.into()),
    }
}

async fn reject(app: &App, client: &mut Client<'_>, token: &str) -> Result<State, Problem> {
    Ok(match app.account().refuse_link(client, token).await? {
        RefusedLink::AccountDeleted => State::Rejected,
        RefusedLink::ChangeRefused => State::ChangeRejected,
        RefusedLink::Already => State::Already,
        RefusedLink::Invalid => State::Invalid,
    })
}

fn rendered(state: Result<State, Problem>, token: &str) -> Result<Answer, Problem> {
    let state = match state {
        Ok(state) => state,
        Err(problem) => return failed(&problem, "/verify-email", token),
    };
    let view = match &state {
        State::Ready { email_masked, created_at, ip } => VerifyEmail::Ready {
            token,
            email_masked,
            created_at: Some(*created_at),
            ip: Some(ip.as_str()).filter(|ip| !ip.is_empty()),
        },
        State::ChangeReady { email_masked } => VerifyEmail::ChangeReady { token, email_masked },
        State::Confirmed => VerifyEmail::Confirmed,
        State::Changed => VerifyEmail::Changed,
        State::Rejected => VerifyEmail::Rejected,
        State::ChangeRejected => VerifyEmail::ChangeRejected,
        State::Already => VerifyEmail::AlreadyVerified,
        State::Invalid => VerifyEmail::Invalid,
    };
    answer::view(view.status(), super::verify_email(&view), None)
}
