//! Checking a password: the one way there is (security §1.8). Every endpoint that checks one goes through here, so that all
//! spend from one count of the account, and spend before the password is looked at.
//!
//! The order is what keeps the answers alike: a stranger is refused by address and by the ladder before anybody looks
//! whether the address has an account.

use std::time::Duration;

use hyper::header::HeaderValue;
use tokio::time::timeout_at;
use uuid::Uuid;

use super::answer::Answer;
use super::dispatch::limited;
use super::request::Request;
use super::steps;
use crate::app::App;
use crate::config::CaptchaPoint;
use crate::limits::budgets::Budget;
use crate::limits::device::Device;
use crate::limits::guesses::Try;
use crate::limits::{Action, Decision, Guesser};
use crate::password::Verdict;
use crate::problem::{Code, Problem, Unavailable};
use crate::secret::Secret;
use crate::session::AccountStatus;
use crate::session::{Principal, RefusedPassword, Tried};
use crate::store::Captcha;

/// What a request needs to take a try back before its deadline ends it: after that nobody would.
const TOLD_WITHIN: Duration = Duration::from_millis(100);

/// Where a known device shows itself, and where it is made known.
pub const DEVICE: &str = "x-latchkey-device";

/// A try of a password that may go on.
#[derive(Debug)]
pub struct Guess {
    address: String,
    who: Guesser,
    /// What the token says; whether it still holds shows only with the person.
    device: Option<Device>,
}

impl Guess {
    /// The device that is known to the account, once the password was right.
    pub fn device(&self) -> Option<Device> {
        self.device
    }
}

/// Begins a try: takes one from the address's limit, unless a device that is known to `address` shows itself. A token that
/// is not ours, not of this address or run out is as good as none.
///
/// Where too many wait for a hash it ends here, before anything is counted: an overload of ours would make people with the
/// right password climb the ladder.
pub fn begin(app: &App, request: &mut Request, address: &str) -> Result<Guess, Problem> {
    app.passwords.has_permit(request.cx.source())?;
    let device = shown(app, request, address);
    if device.is_none() {
        steps::limit(app, request, Action::Login)?;
    }
    let who = Guesser::Source(request.client());
    Ok(Guess { address: address.to_owned(), who, device })
}

/// The device that the request sends, where it is known to this account under the password in force.
pub fn known_device(app: &App, request: &Request, standing: &AccountStatus) -> Option<Device> {
    shown(app, request, &standing.email_normal)
        .filter(|device| device.knows(standing.id, standing.password_version))
}

fn shown(app: &App, request: &Request, address: &str) -> Option<Device> {
    let mut tokens = request.headers.get_all(DEVICE).iter();
    let (token, another) = (tokens.next()?, tokens.next());
    app.devices.read(token.as_bytes(), address, app.clock.now()).filter(|_| another.is_none())
}

/// Lets a stranger climb the ladder; with `login-after-failures` in `captcha.on` a captcha takes the place of the short
/// waits. A device is let through to [`verify`], which knows whose it is.
pub async fn admit(
    app: &App,
    request: &Request,
    guess: &Guess,
    payload: Option<String>,
) -> Result<(), Problem> {
    if guess.device.is_some() {
        return Ok(());
    }
    if !steps::captcha_needed(app, CaptchaPoint::LoginAfterFailures) {
        return ask(app, request, guess, Captcha::NotAsked).await;
    }
    match climb(app, request, guess, Captcha::Missing).await? {
        Try::CaptchaNeeded => {
            let point = CaptchaPoint::LoginAfterFailures;
            steps::demand_captcha(app, request, point, true, payload).await?;
            ask(app, request, guess, Captcha::Solved).await
        }
        other => judged(app, guess, other),
    }
}

async fn ask(app: &App, request: &Request, guess: &Guess, captcha: Captcha) -> Result<(), Problem> {
    judged(app, guess, climb(app, request, guess, captcha).await?)
}

async fn climb(
    app: &App,
    request: &Request,
    guess: &Guess,
    captcha: Captcha,
) -> Result<Try, Problem> {
    let deadline = request.cx.deadline;
    Ok(app.budgets.admit(&guess.address, guess.who, captcha, deadline).await?)
}

fn judged(app: &App, guess: &Guess, found: Try) -> Result<(), Problem> {
    match found {
        Try::Admitted => Ok(()),
        // What is told has to be enough for the limit that the next try meets first, too.
        Try::Wait { retry_after_s } => {
            let next = match guess.who {
                Guesser::Source(ip) => app.limiter.look(Action::Login, ip),
                Guesser::Device(device) => app.limiter.look_device(&device.id()),
            };
            let then = match next {
                Decision::Limited { retry_after_s, .. } => retry_after_s,
                Decision::Unlimited | Decision::Allowed(_) => 0,
            };
            Err(limited(retry_after_s.max(then)))
        }
        Try::CaptchaNeeded => Err(Code::CaptchaInvalid.into()),
    }
}

/// Whose password is tried, once the try was admitted. Where nobody can say, or only when the request has no time left, the
/// try is taken back: it was counted, and what it would have told was not.
pub async fn person(
    app: &App,
    request: &Request,
    guess: &Guess,
) -> Result<Option<AccountStatus>, Problem> {
    let look = AccountStatus::by_email(&app.db, &guess.address);
    let found = match timeout_at(request.cx.deadline - TOLD_WITHIN, look).await {
        Ok(found) => found.map_err(Unavailable::from),
        Err(late) => Err(Unavailable::because("database", late)),
    };
    found.map_err(|unavailable| {
        // A device is counted later: see `verify`.
        if guess.device.is_none() {
            app.budgets.refund(&guess.address, guess.who);
        }
        unavailable.into()
    })
}

/// Checks the password of a try that was admitted. Without a person a decoy is checked, so that the time tells nothing. Where
/// it ends without a verdict, for want of time or by a crash, the try is taken back.
///
/// A device is judged here: one that does not know this person's present password is a stranger after all, and spends as
/// one.
pub async fn verify(
    app: &App,
    request: &mut Request,
    guess: &mut Guess,
    standing: Option<&AccountStatus>,
    password: Secret<String>,
) -> Result<Verdict, Problem> {
    if let Some(device) = guess.device {
        let knows = |person: &AccountStatus| device.knows(person.id, person.password_version);
        if standing.is_some_and(knows) {
            let id = device.id();
            guess.who = Guesser::Device(device);
            steps::look_device(app, request, &id)?;
            ask(app, request, guess, Captcha::NotAsked).await?;
            // Its ladder forgets with each right password; a hash costs as much then.
            steps::limit_device(app, request, &id)?;
        } else {
            guess.device = None;
            steps::limit(app, request, Action::Login)?;
            ask(app, request, guess, Captcha::NotAsked).await?;
        }
    }
    let stored = standing.map(|standing| standing.password_hash.clone());
    let deadline = request.cx.deadline;
    let source = request.cx.source();
    let verdict = match app.passwords.verify(source, deadline, password, stored).await {
        Ok(verdict) => verdict,
        Err(unavailable) => {
            app.budgets.refund(&guess.address, guess.who);
            return Err(unavailable.into());
        }
    };
    if verdict != Verdict::Mismatch {
        let forgiven = app.budgets.forgive(&guess.address, guess.who, deadline);
        if let Err(error) = forgiven.await {
            tracing::warn!(error = %error, "a right password still counts as a failure");
        }
    }
    Ok(verdict)
}

/// Leaves a password that was refused to the audit, apart from the answer.
pub fn note_refused(
    app: &App,
    request: &Request,
    tried: Tried,
    address: &str,
    account: Option<Uuid>,
) {
    let refused = RefusedPassword {
        tried,
        address: address.to_owned(),
        account,
        client: request.client(),
        origin: request.origin(),
    };
    if app.sessions.record_refused(refused).is_err() {
        app.metrics.audit_write_failures.add(1, &[]);
    }
}

/// Checks the password of a user who is logged in, limits and all, and returns the device that was known to the account. A
/// wrong password is in the audit, with `at`: our word for the change that it was to confirm. A right one spends from the
/// account's budget, which no new device and no new password refills. Only a right one does, so that a client with a stolen
/// session and no password cannot use the budget up.
pub async fn confirm(
    app: &App,
    request: &mut Request,
    caller: &Principal,
    password: Secret<String>,
    at: &'static str,
) -> Result<Option<Device>, Problem> {
    let standing = &caller.standing;
    let mut guess = begin(app, request, &standing.email_normal)?;
    if guess.device.is_none() {
        ask(app, request, &guess, Captcha::NotAsked).await?;
    }
    match verify(app, request, &mut guess, Some(standing), password).await? {
        Verdict::Match | Verdict::MatchNeedsRehash => {
            let deadline = request.cx.deadline;
            let budget = Budget::PasswordConfirmations;
            steps::within(app.budgets.account(budget, standing.id, deadline).await)?;
            Ok(guess.device())
        }
        Verdict::Mismatch => {
            let (address, account) = (&standing.email_normal, Some(standing.id));
            note_refused(app, request, Tried::Change(at), address, account);
            Err(Problem::new(Code::InvalidCredentials).detail("`password` is not your password."))
        }
    }
}

/// After a reset or a change of the password: guesses at the one before count no more. Known devices are strangers now, but
/// the one that made the change ([`make_known`]).
pub async fn pardon(app: &App, request: &Request, address: &str) {
    let deadline = request.cx.deadline;
    if let Err(error) = app.budgets.pardon(address, deadline).await {
        tracing::warn!(error = %error, "guesses at a former password still count");
    }
}

/// Makes the device known that has just proven the password or the mailbox, for 90 days from now. `known` is the device that
/// the request sent: it keeps its id.
pub fn make_known(
    app: &App,
    answer: &mut Answer,
    address: &str,
    standing: &AccountStatus,
    known: Option<Device>,
) {
    let who = (standing.id, standing.password_version);
    let token = app.devices.issue(address, who, known, app.clock.now());
    if let Ok(token) = HeaderValue::from_str(&token) {
        answer.headers_mut().insert(DEVICE, token);
    }
}
