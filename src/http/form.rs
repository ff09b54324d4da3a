//! [`Form`] reads the parameters of an OAuth endpoint strictly (RFC 6749 §3.1, §3.2, appendix B).
//!
//! Only the body is read, because credentials in a query would appear in logs. A form that contains
//! a parameter twice is refused, because a proxy and latchkey could use different values of this
//! parameter. A parameter without a value counts as not sent.

use super::request::Request;
use crate::problem::{Code, OauthError, Problem};
use crate::secret::Secret;

/// The maximum number of parameters of a form. The RFCs define six for these endpoints.
const PARAMETERS_MAX: usize = 16;

/// A checked form. It has few parameters, all of them are in UTF-8, and each was sent once.
#[derive(Debug)]
pub struct Form(Vec<(String, Secret<String>)>);

impl Form {
    /// Reads the form in the body of a request.
    ///
    /// # Errors
    /// [`Code::UnsupportedMediaType`] if the body has another media type.
    /// [`Code::MalformedRequest`] if the form is invalid. Both have the OAuth error
    /// `invalid_request`.
    pub fn read(request: &Request) -> Result<Self, Problem> {
        let checked = request.form().and_then(Self::check);
        checked.map_err(|problem| problem.oauth(OauthError::InvalidRequest))
    }

    fn check(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let refused = |detail: &str| Err(Problem::new(Code::MalformedRequest).detail(detail));
        if pairs.len() > PARAMETERS_MAX {
            return refused("The form has more than 16 parameters.");
        }
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return refused("The form contains a parameter twice.");
        }
        let sent = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Ok(Self(sent.map(|(name, value)| (name, Secret::new(value))).collect()))
    }

    /// Returns a parameter, or none if it was not sent or has no value.
    pub fn get(&self, name: &str) -> Option<&Secret<String>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Returns a required parameter.
    ///
    /// # Errors
    /// [`Code::MalformedRequest`] with the OAuth error `invalid_request` if the parameter is
    /// missing.
    pub fn need(&self, name: &str) -> Result<&Secret<String>, Problem> {
        self.get(name).ok_or_else(|| {
            Problem::new(Code::MalformedRequest)
                .detail(format!("The form parameter `{name}` is missing."))
                .oauth(OauthError::InvalidRequest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> Result<Form, Problem> {
        Form::check(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn each_parameter_is_sent_once_and_an_empty_one_is_not_sent() {
        let form = check(&[("token", "a b"), ("hint", ""), ("unknown", "x")]).unwrap();
        assert_eq!(form.need("token").unwrap().expose(), "a b");
        assert!(form.get("hint").is_none() && form.get("nothing").is_none());
        assert_eq!(form.need("hint").unwrap_err().oauth, Some(OauthError::InvalidRequest));
        assert!(check(&[("token", "a"), ("x", "1"), ("token", "a")]).is_err());
        assert!(check(&[("x", ""), ("x", "")]).is_err());
    }

    #[test]
    fn a_form_has_sixteen_parameters_at_most() {
        let names: Vec<String> = (0..17).map(|n| format!("p{n}")).collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        assert!(check(&pairs[..16]).is_ok());
        assert!(check(&pairs).is_err());
    }
}
