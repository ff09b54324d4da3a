//! Fields that several requests have: an email address, a name, a new password, a captcha.

use super::json::{Object, Rule};
use super::request::Request;
use crate::app::App;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::user::{AddressError, EmailAddress, NameError, PersonName};

/// An email address out of a body, or the rule that it breaks.
pub fn email(object: &mut Object) -> Option<EmailAddress> {
    let text = object.text("email");
    object.check("email", EmailAddress::parse(&text))
}

/// A name out of a body, or the rule that it breaks.
pub fn name(object: &mut Object) -> Option<PersonName> {
    let text = object.text("name");
    object.check("name", PersonName::parse(&text))
}

/// Holds a new password to the policy, for a user as far as known.
pub fn policy(
    app: &App,
    object: &mut Object,
    member: &'static str,
    password: &Secret<String>,
    (address, name): (Option<&EmailAddress>, Option<&str>),
) {
    object.check(member, app.account().keeps_policy(password, address, name));
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
