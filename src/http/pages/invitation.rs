//! `/invitation`: the page behind the link of an invitation.
//!
//! GET changes nothing. POST accepts the invitation for a client that knows the password of the
//! invited account and, if the account has one, its second factor. POST opens no session. Before
//! the password is right, its response does not reveal whether there is an account.

use super::trouble::{failed_in, wait_and_try_again};
use super::{FactorError, Invited, words};
use crate::account::{AccountError, FactorCode, FactorProof, ProvenUser, SecondStep};
use crate::admission::{Action, Ask};
use crate::app::App;
use crate::factor::FactorMethod;
use crate::factor::passkey::CredentialResponse;
use crate::http::answer::{self, Answer};
use crate::http::api::invitation::room;
use crate::http::api::passkey::options;
use crate::http::limit;
use crate::http::member::change_context;
use crate::http::request::Request;
use crate::mail::Locale;
use crate::problem::{Code, Problem};
use crate::secret::{Secret, sha256};
use crate::session::Level;
use crate::team::joining::{self, Invitee, Offer, Shown};
use crate::telemetry::labels::TenancyChange;
use crate::user::EmailAddress;

const PATH: &str = "/invitation";

/// The invitation of a request, for the pages about it.
#[derive(Clone, Copy)]
struct Page<'a> {
    locale: Locale,
    token: &'a str,
    offer: &'a Offer,
}

/// What the user has sent.
enum Sent {
    Password(Secret<String>),
    /// The second factor, after the right password.
    Factor {
        challenge: Secret<String>,
        proof: FactorProof,
    },
}

/// `GET /invitation?token=…`
pub async fn show(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let locale = words::locale(request);
    let token = request.query("token")?.unwrap_or_default();
    match offer(app, &token).await {
        Ok(Some(offer)) => Page { locale, token: &token, offer: &offer }.ready(None),
        Ok(None) => render(locale, &Invited::Invalid),
        Err(problem) => failed_in(locale, &problem, PATH, &token),
    }
}

/// `POST /invitation`
pub async fn submit(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let locale = words::locale(request);
    let mut form = request.form()?;
    let mut field = |name: &str| {
        let found = form.iter_mut().find(|(key, _)| key == name);
        found.map(|(_, value)| std::mem::take(value)).unwrap_or_default()
    };
    let token = field("token");
    let sent = sent(&mut field);
    if let Err(problem) = limit::admit(app, request, Ask::Action(Action::Verify)).await {
        return failed_in(locale, &problem, PATH, &token);
    }
    let offer = match offer(app, &token).await {
        Ok(Some(offer)) => offer,
        Ok(None) => return render(locale, &Invited::Invalid),
        Err(problem) => return failed_in(locale, &problem, PATH, &token),
    };
    let page = Page { locale, token: &token, offer: &offer };
    match prove(app, request, &offer, &sent).await {
        Ok(user) => page.joined(join(app, request, &token, &user).await),
        Err(AccountError::FactorRequired(required)) => {
            match app.account().second_step(&required.challenge).await {
                Ok(Some(step)) => page.asks_for_factor(&required.challenge, step, None),
                Ok(None) => page.refused(&Code::ChallengeInvalid.into()),
                Err(error) => page.refused(&error.into()),
            }
        }
        Err(error) => match &sent {
            Sent::Password(_) => page.refused(&error.into()),
            Sent::Factor { challenge, proof } => {
                page.refused_factor(app, (challenge, proof.method()), error).await
            }
        },
    }
}

/// Reads the form of the password, or one of the three forms of a second factor.
fn sent(field: &mut impl FnMut(&str) -> String) -> Sent {
    let challenge = field("challenge");
    if challenge.is_empty() {
        return Sent::Password(Secret::new(field("password")));
    }
    let (app, recovery, passkey) = (field("code"), field("recoveryCode"), field("passkey"));
    let code = |method, code| FactorProof::Code(FactorCode { method, code: Secret::new(code) });
    let proof = if !passkey.is_empty() {
        FactorProof::Passkey(Box::new(CredentialResponse::parse(&passkey)))
    } else if !recovery.is_empty() {
        code(FactorMethod::RecoveryCode, recovery)
    } else {
        code(FactorMethod::Totp, app)
    };
    Sent::Factor { challenge: Secret::new(challenge), proof }
}

async fn offer(app: &App, token: &str) -> Result<Option<Offer>, Problem> {
    Ok(joining::offer_of(&app.db, &sha256(token.as_bytes()), app.clock.now()).await?)
}

/// Checks the password or the second factor like a login, with the same limits. Before the password
/// is right, the result does not reveal whether an account exists.
async fn prove(
    app: &App,
    request: &mut Request,
    offer: &Offer,
    sent: &Sent,
) -> Result<ProvenUser, AccountError> {
    let email = EmailAddress::parse(&offer.email).map_err(|_| AccountError::LinkInvalid)?;
    let (account, mut client) = (app.account(), request.as_client());
    match sent {
        Sent::Password(password) => {
            account.check_password(&mut client, &email, password.clone()).await
        }
        Sent::Factor { challenge, proof } => {
            account.check_second_factor(&mut client, &email, challenge, proof).await
        }
    }
}

/// Joins the team. `user.proof` says whether the user has proven a second factor, which a team can
/// require of its members.
async fn join(app: &App, request: &Request, token: &str, user: &ProvenUser) -> Result<(), Problem> {
    if !user.account.is_verified() {
        return Err(Code::EmailUnverified.into());
    }
    let digest = sha256(token.as_bytes());
    let has_two_factors = user.proof.level == Level::Aal2;
    let invitee = Invitee { user_id: user.account.id, has_two_factors };
    joining::accept(&change_context(app, request), invitee, Shown::Link(&digest), room(app))
        .await?;
    app.metrics.tenancy_changes.one(TenancyChange::InvitationAccepted);
    Ok(())
}

impl Page<'_> {
    fn joined(self, result: Result<(), Problem>) -> Result<Answer, Problem> {
        match result {
            Ok(()) => render(self.locale, &Invited::Accepted { team: &self.offer.team_name }),
            Err(problem) => self.refused(&problem),
        }
    }

    /// The page for a refusal of the password or of the team.
    fn refused(self, problem: &Problem) -> Result<Answer, Problem> {
        match (problem.code, &problem.detail) {
            (Code::TokenInvalid, _) => render(self.locale, &Invited::Invalid),
            (Code::TeamFactorRequired, _) => {
                render(self.locale, &Invited::FactorNeeded { team: &self.offer.team_name })
            }
            (Code::Conflict | Code::Forbidden, Some(why)) => {
                render(self.locale, &Invited::Refused { why })
            }
            (code, _) => match advice(self.locale, code) {
                Some(error) => self.ready(Some(error)),
                None => failed_in(self.locale, problem, PATH, self.token),
            },
        }
    }

    /// The page for a second factor that was refused. The forms stay until the challenge has ended.
    /// Then the user enters the password again.
    async fn refused_factor(
        self,
        app: &App,
        (challenge, method): (&Secret<String>, FactorMethod),
        error: AccountError,
    ) -> Result<Answer, Problem> {
        let problem = Problem::from(error);
        let say = |english, german| words::say(self.locale, english, german);
        let text = match problem.code {
            Code::InvalidCredentials if method == FactorMethod::Passkey => say(
                "The passkey was not accepted. Try again, or use another way.",
                "Der Passkey wurde nicht angenommen. Versuchen Sie es noch einmal oder auf einem anderen Weg.",
            )
            .to_owned(),
            Code::InvalidCredentials => say(
                "The code is wrong, or it was used before. Enter another code.",
                "Der Code ist falsch, oder er wurde schon benutzt. Geben Sie einen anderen Code ein.",
            )
            .to_owned(),
            Code::RateLimited => {
                let wait = wait_and_try_again(self.locale, problem.retry_after.unwrap_or(1));
                format!("{} {wait}", say("There were too many attempts.", "Das waren zu viele Versuche."))
            }
            _ => return self.refused(&problem),
        };
        match app.account().second_step(challenge).await {
            Ok(Some(step)) => {
                let retry_after_s = problem.retry_after;
                let error = FactorError { method, text: &text, retry_after_s };
                self.asks_for_factor(challenge, step, Some(error))
            }
            Ok(None) if problem.code == Code::InvalidCredentials => self.ready(Some(say(
                "The second factor was wrong too often. Enter your password again.",
                "Der zweite Faktor war zu oft falsch. Geben Sie Ihr Passwort noch einmal ein.",
            ))),
            Ok(None) => failed_in(self.locale, &problem, PATH, self.token),
            Err(error) => failed_in(self.locale, &error.into(), PATH, self.token),
        }
    }

    fn asks_for_factor(
        self,
        challenge: &Secret<String>,
        SecondStep { methods, passkey }: SecondStep<'_>,
        error: Option<FactorError<'_>>,
    ) -> Result<Answer, Problem> {
        let passkey = passkey.map(|begun| options::Request::from(begun).public_key());
        let view = Invited::Factor {
            token: self.token,
            challenge: challenge.expose(),
            methods: &methods,
            passkey: passkey.as_deref(),
            team: &self.offer.team_name,
            error,
        };
        render(self.locale, &view)
    }

    fn ready(self, error: Option<&str>) -> Result<Answer, Problem> {
        let Page { locale, token, offer } = self;
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
        render(locale, &view)
    }
}

/// The message that the page shows beside the password field. Other refusals have another page.
const fn advice(locale: Locale, code: Code) -> Option<&'static str> {
    let (english, german) = match code {
        Code::InvalidCredentials => (
            "The password is wrong, or there is no account with this address yet.",
            "Das Passwort ist falsch, oder es gibt noch kein Konto mit dieser Adresse.",
        ),
        Code::ChallengeInvalid => (
            "The time to use the second factor is over, or your password or your second factor has changed. Enter your password again.",
            "Die Zeit für den zweiten Faktor ist abgelaufen, oder Ihr Passwort oder Ihr zweiter Faktor hat sich geändert. Geben Sie Ihr Passwort noch einmal ein.",
        ),
        Code::EmailUnverified => (
            "Your address is not confirmed yet. Open the link in the confirmation mail first.",
            "Ihre Adresse ist noch nicht bestätigt. Öffnen Sie zuerst den Link in der Bestätigungsmail.",
        ),
        Code::AccountDisabled => (
            "The account is disabled. Only the operator can enable it.",
            "Das Konto ist gesperrt. Nur der Betreiber kann es entsperren.",
        ),
        Code::CaptchaInvalid => (
            "There were too many wrong passwords. Log in where you have your account and accept the invitation there.",
            "Das Passwort war zu oft falsch. Melden Sie sich dort an, wo Sie Ihr Konto haben, und nehmen Sie die Einladung dort an.",
        ),
        _ => return None,
    };
    Some(words::say(locale, english, german))
}

fn render(locale: Locale, view: &Invited<'_>) -> Result<Answer, Problem> {
    answer::view(view.status(), super::invited(locale, view), view.retry_after_s())
}
