//! Conversion of account errors to problems of the API.

use super::json::{Object, Rule};
use super::limit::limited;
use crate::account::{AccountError, RegistrationRefusal, WeakPassword};
use crate::problem::{Code, Problem};

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
        AccountError::Unavailable(unavailable) => unavailable.into(),
        other => other.code().into(),
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
    Problem { difficulty: Some(difficulty), ..problem.detail(detail) }
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
