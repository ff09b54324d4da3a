//! `/verify-email`: the page behind a confirmation link. GET changes nothing; POST confirms, or removes the account
//! ("this was not me"). Neither opens a session.

use latchkey_entity::email_change::{self, EmailChangeState};
use latchkey_entity::user;
use sea_orm::EntityTrait as _;

use super::trouble::failed;
use super::{VerifyEmail, words};
use crate::account::{Undone, Verified};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::email::verify;
use crate::http::request::Request;
use crate::http::steps;
use crate::limits::Action;
use crate::problem::{Code, Problem};
use crate::store::{OneTimeToken, TokenKind};

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
    let done = async {
        steps::limit(app, request, Action::Verify)?;
        if rejects {
            reject(app, request, &token).await
        } else {
            confirm(app, request, &token).await
        }
    };
    let done = done.await;
    rendered(done, &token)
}

/// What a state shows, held until it is rendered.
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

/// Which page a link deserves, without touching anything.
async fn look(app: &App, token: &str) -> Result<State, Problem> {
    let Some(found) = verify::find(app, token).await? else { return Ok(State::Invalid) };
    match (found.kind, found.subject) {
        (TokenKind::Verify, _) => {
            let person = user::Entity::find_by_id(found.user_id).one(app.db.reader()).await?;
            Ok(match person {
                None => State::Invalid,
                Some(person) if person.verified_at.is_some() => State::Already,
                Some(person) => State::Ready {
                    email_masked: words::masked(&person.email),
                    created_at: person.created_at,
                    ip: person.created_ip,
                },
            })
        }
        (TokenKind::ChangeEmail, Some(id)) => {
            let change = email_change::Entity::find_by_id(id).one(app.db.reader()).await?;
            Ok(match change {
                Some(change) if change.state == EmailChangeState::Pending => {
                    State::ChangeReady { email_masked: words::masked(&change.new_email) }
                }
                Some(change) if change.state == EmailChangeState::Done => State::Already,
                _ => State::Invalid,
            })
        }
        _ => Ok(State::Invalid),
    }
}

async fn confirm(app: &App, request: &Request, token: &str) -> Result<State, Problem> {
    match verify::prove(app, request, token).await {
        Ok((TokenKind::ChangeEmail, _)) => Ok(State::Changed),
        Ok(_) => Ok(State::Confirmed),
        Err(problem) if problem.code == Code::AlreadyVerified => Ok(State::Already),
        Err(problem) if matches!(problem.code, Code::TokenInvalid | Code::EmailTaken) => {
            Ok(State::Invalid)
        }
        Err(problem) => Err(problem),
    }
}

async fn reject(app: &App, request: &Request, token: &str) -> Result<State, Problem> {
    let Some(OneTimeToken { kind, user_id, subject, .. }) = verify::find(app, token).await? else {
        return Ok(State::Invalid);
    };
    match (kind, subject) {
        (TokenKind::Verify, _) => Ok(match app.accounts.reject(request.call(), user_id).await? {
            Verified::Now => {
                app.store.forget_user(user_id).await?;
                State::Rejected
            }
            Verified::Already => State::Already,
            Verified::Gone => State::Invalid,
        }),
        (TokenKind::ChangeEmail, Some(change_id)) => {
            Ok(match app.accounts.refuse_email_change(request.call(), change_id).await? {
                Undone::Now => State::ChangeRejected,
                Undone::Gone => State::Invalid,
            })
        }
        _ => Ok(State::Invalid),
    }
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
