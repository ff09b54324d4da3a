//! Conversion of account errors to problems of the API.

use super::json::{Object, Rule};
use super::limit::limited;
use crate::account::{AccountError, RegistrationRefusal, WeakPassword};
use crate::clock::rfc3339;
use crate::factor::FACTORS_MAX;
use crate::problem::{Code, FieldError, Problem};
use crate::session::{FactorRequired, StepUpRequired};

impl Rule for WeakPassword {
    fn code(&self) -> &'static str {
        WeakPassword::code(*self)
    }
}

/// The problem for an account error. `member` is the name of the JSON member that contains the new
/// password.
pub fn problem(error: AccountError, member: &'static str) -> Problem {
    match error {
        AccountError::Limited(limit) => limited(limit.retry_after_s),
        AccountError::WrongPassword => {
            Problem::new(Code::InvalidCredentials).detail("`password` is not your current password.")
        }
        AccountError::Registration(refusal) => {
            Problem::new(Code::Forbidden).detail(registration(refusal))
        }
        AccountError::WeakPassword(weakness) => {
            let mut rules = Object::default();
            rules.reject(member, weakness.code(), weakness);
            rules.finish().err().unwrap_or_else(|| Code::ValidationFailed.into())
        }
        AccountError::Changed => {
            Problem::new(Code::Conflict).detail("Another request changed the password a moment ago.")
        }
        AccountError::OwnsTeams(names) => Problem::new(Code::Conflict).detail(format!(
            "You are the only owner of teams that have other members: {}. Make another member an owner, or delete these teams first.",
            names.join(", ")
        )),
        AccountError::CaptchaNeeded { difficulty } => captcha_needed(difficulty),
        AccountError::FactorRequired(required) => factor_required(&required),
        AccountError::WrongProof => {
            Problem::new(Code::InvalidCredentials).detail("The code or the passkey is wrong.")
        }
        AccountError::WrongFirstCode => invalid(
            ("/code", "mismatch"),
            "`code` is not the current code of the authenticator app.",
        ),
        AccountError::WrongNewPasskey => {
            invalid(("/credential", "invalid"), "`credential` is not a valid new passkey.")
        }
        AccountError::EnrolmentInvalid => invalid(
            ("/challenge", "invalid"),
            "`challenge` is unknown, has ended, or belongs to another session. Request a new one.",
        ),
        AccountError::PasskeyTaken => {
            Problem::new(Code::Conflict).detail("This passkey is registered already.")
        }
        AccountError::NoPasskey => Problem::new(Code::Conflict).detail("The account has no passkey."),
        AccountError::NoFactor => {
            Problem::new(Code::Conflict).detail("The account has no second factor.")
        }
        AccountError::TooManyFactors => Problem::new(Code::Conflict).detail(format!(
            "The account has {FACTORS_MAX} factors, which is the maximum. Remove one first."
        )),
        AccountError::Unavailable(unavailable) => unavailable.into(),
        other => other.code().into(),
    }
}

/// The problem of a member that breaks a rule.
fn invalid((pointer, code): (&str, &'static str), detail: &str) -> Problem {
    let (pointer, detail) = (pointer.to_owned(), detail.to_owned());
    Problem::validation(vec![FieldError { pointer, code, detail }])
}

/// The problem that asks for the second factor of a login.
fn factor_required(required: &FactorRequired) -> Problem {
    let methods: Vec<&str> = required.methods.iter().map(|method| method.name()).collect();
    Problem::new(Code::FactorRequired)
        .member("challenge", required.challenge.expose().as_str())
        .member("methods", methods)
        .member("expiresAt", rfc3339(required.expires_at))
}

/// The problem of an action that needs a newer or a stronger proof (RFC 9470 §3).
impl From<StepUpRequired> for Problem {
    fn from(StepUpRequired { level, fresh_for, methods }: StepUpRequired) -> Self {
        let (level, seconds) = (level.name(), fresh_for.as_secs());
        let challenge = format!(
            "Bearer error=\"insufficient_user_authentication\", acr_values=\"{level}\", max_age=\"{seconds}\""
        );
        let problem = Self::new(Code::StepUpRequired)
            .member("acrValues", vec![level])
            .member("maxAge", seconds)
            .member("methods", methods);
        Self { challenge: Some(challenge.into()), ..problem }
    }
}

/// The problem that asks for a captcha. If the captcha has to be harder than usual, the problem
/// contains the difficulty, so that the client can request a challenge of this difficulty.
fn captcha_needed(difficulty: u32) -> Problem {
    let problem = Problem::new(Code::CaptchaInvalid);
    if difficulty <= 1 {
        return problem;
    }
    let detail = format!(
        "There were many failed logins to this account. Solve a captcha and send the solution with the login. \
         GET /api/captcha?difficulty={difficulty} returns the challenge of the built-in captcha."
    );
    problem.detail(detail).member("difficulty", difficulty)
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        problem(error, "password")
    }
}

const fn registration(refusal: RegistrationRefusal) -> &'static str {
    match refusal {
        RegistrationRefusal::Domain => "Email addresses of this domain cannot be registered.",
        RegistrationRefusal::Closed => "Registration is closed.",
        RegistrationRefusal::InviteOnly => "You need an invitation to register.",
    }
}
