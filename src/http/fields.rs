//! Members that several requests have: a new password, a captcha.

use super::json::{Object, Rule};
use super::request::Request;
use crate::app::App;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::user::{AddressError, EmailAddress, NameError};

/// Holds a new password to the policy, for a user as far as known.
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

/// The captcha of a GET: `capcha`, as the API page spells it, or `captcha`.
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
            Self::Invisible => "forbidden-character",
        }
    }
}
