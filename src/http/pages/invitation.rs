//! `/invitation`: the page behind the link of an invitation.
//!
//! GET changes nothing. POST accepts the invitation for a client that knows the password of the
//! invited account. POST opens no session, and its response does not reveal whether there is an
//! account.

use super::trouble::failed;
use super::{Invited, words};
use crate::admission::{Action, Ask};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::invitation::room;
use crate::http::limit;
use crate::http::member::change_context;
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::{Secret, sha256};
use crate::team::joining::{self, Invitee, Offer, Shown};
use crate::telemetry::labels::TenancyChange;
use crate::user::EmailAddress;

const PATH: &str = "/invitation";

/// `GET /invitation?token=…`
pub async fn show(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let token = request.query("token")?.unwrap_or_default();
    match offer(app, &token).await {
        Ok(Some(offer)) => ready(&offer, &token, None),
        Ok(None) => render(&Invited::Invalid),
        Err(problem) => failed(&problem, PATH, &token),
    }
}

/// `POST /invitation`
pub async fn submit(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let mut form = request.form()?;
    let mut field = |name: &str| {
        let found = form.iter_mut().find(|(key, _)| key == name);
        found.map(|(_, value)| std::mem::take(value)).unwrap_or_default()
    };
    let (token, password) = (field("token"), Secret::new(field("password")));
    if let Err(problem) = limit::admit(app, request, Ask::Action(Action::Verify)).await {
        return failed(&problem, PATH, &token);
    }
    let offer = match offer(app, &token).await {
        Ok(Some(offer)) => offer,
        Ok(None) => return render(&Invited::Invalid),
        Err(problem) => return failed(&problem, PATH, &token),
    };
    match accept(app, request, &offer, (&token, password)).await {
        Ok(()) => render(&Invited::Accepted { team: &offer.team_name }),
        Err(problem) => match (problem.code, &problem.detail) {
            (Code::TokenInvalid, _) => render(&Invited::Invalid),
            (Code::Conflict | Code::Forbidden, Some(why)) => render(&Invited::Refused { why }),
            (code, _) => match advice(code) {
                Some(error) => ready(&offer, &token, Some(error)),
                None => failed(&problem, PATH, &token),
            },
        },
    }
}

async fn offer(app: &App, token: &str) -> Result<Option<Offer>, Problem> {
    Ok(joining::offer_of(&app.db, &sha256(token.as_bytes()), app.clock.now()).await?)
}

/// Checks the password like a login, with the same limits and without revealing whether an account
/// exists. Then joins the team.
async fn accept(
    app: &App,
    request: &mut Request,
    offer: &Offer,
    (token, password): (&str, Secret<String>),
) -> Result<(), Problem> {
    let email = EmailAddress::parse(&offer.email).map_err(|_| Code::TokenInvalid)?;
    let mut client = request.as_client();
    let standing = app.account().check_password(&mut client, &email, password).await?;
    if !standing.is_verified() {
        return Err(Code::EmailUnverified.into());
    }
    let digest = sha256(token.as_bytes());
    let invitee = Invitee { user_id: standing.id, has_two_factors: false };
    joining::accept(&change_context(app, request), invitee, Shown::Link(&digest), room(app))
        .await?;
    app.metrics.tenancy_changes.one(TenancyChange::InvitationAccepted);
    Ok(())
}

/// The message that the page shows beside the password field. Other refusals have another page.
const fn advice(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::InvalidCredentials => {
            "The password is wrong, or there is no account with this address yet."
        }
        Code::EmailUnverified => {
            "Your address is not confirmed yet. Open the link in the confirmation mail first."
        }
        Code::AccountDisabled => "The account is disabled. Only the operator can enable it.",
        Code::TeamFactorRequired => {
            "The team requires a second factor. Log in with it where you have your account and accept the invitation there."
        }
        Code::CaptchaInvalid => {
            "There were too many wrong passwords. Log in where you have your account and accept the invitation there."
        }
        _ => return None,
    })
}

fn ready(offer: &Offer, token: &str, error: Option<&str>) -> Result<Answer, Problem> {
    let inviter = offer.inviter_name.as_ref().zip(offer.inviter_email.as_ref());
    let inviter = inviter.map(|(name, email)| format!("{name} ({email})"));
    let view = Invited::Ready {
        token,
        inviter: inviter.as_deref(),
        team: &offer.team_name,
        role: &offer.role,
        email_masked: &words::masked(&offer.email),
        expires_at: offer.expires_at,
        error,
    };
    render(&view)
}

fn render(view: &Invited<'_>) -> Result<Answer, Problem> {
    answer::view(view.status(), super::invited(view), None)
}
