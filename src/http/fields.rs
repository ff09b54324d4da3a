//! JSON members and parameters that several requests share: a new password and a captcha.

use super::json::{Object, Rule};
use super::request::Request;
use crate::app::App;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::session::Principal;
use crate::user::{AddressError, EmailAddress, NameError};

/// Checks a new password against the password policy. If the user's email address and name are
/// known, the policy compares the password with them.
pub fn policy(
    app: &App,
    body: &mut Object,
    (member, password): (&'static str, &Option<Secret<String>>),
    (address, name): (Option<&EmailAddress>, Option<&str>),
) {
    if let Some(password) = password {
        body.check(member, app.account().keeps_policy(password, address, name));
    }
}

/// Requires the current password, unless the account has a second factor. In this case the route
/// has checked a fresh proof with it.
pub fn require_password(
    body: &mut Object,
    caller: &Principal,
    password: Option<&Option<Secret<String>>>,
) {
    if matches!(password, Some(None)) && !caller.standing.has_factor() {
        body.reject("password", "required", "`password` is required.");
    }
}

/// Reads the captcha of a GET request from its query. The parameter is `capcha`, as the
/// specification of the API spells it, or `captcha`.
pub fn captcha_of_query(request: &Request) -> Result<Option<String>, Problem> {
    let payload = request.query("capcha")?.filter(|payload| !payload.is_empty());
    Ok(match payload {
        Some(payload) => Some(payload),
        None => request.query("captcha")?,
    })
}

impl Rule for AddressError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            _ => "format",
        }
    }
}

impl Rule for NameError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "too-short",
            Self::TooLong => "too-long",
            Self::Forbidden(_) => "forbidden-character",
        }
    }
}
