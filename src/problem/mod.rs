//! The catalogue of errors, which contains every error code that a client can receive. A test fails
//! if the catalogue changes.
//!
//! A [`Problem`] is what a handler returns instead of a success response. It has a [`Code`], a
//! public detail and the private error that caused it. Only `http/dispatch.rs` turns a problem into
//! a response (RFC 9457) and logs the problem once. The other modules, for example
//! `account` and `session`, know no HTTP statuses. They have their own error enums or use
//! [`Unavailable`].

mod code;

use std::error::Error;
use std::fmt;

use sea_orm::{DbErr, RuntimeErr};
use serde::Serialize;
use serde_json::Value;

pub use code::Code;

/// An entry of `errors` in a 422 response: one member of the request and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The member as a JSON pointer (RFC 6901), for example `/email`.
    pub pointer: String,
    /// The name of the rule: `required`, `type`, `format`, `too-short`, `too-long`, `too-common`,
    /// `forbidden-character`, …
    pub code: &'static str,
    /// The rule as a sentence.
    pub detail: String,
}

/// An error response: a code for the client and the cause for the log.
#[derive(Debug)]
pub struct Problem {
    /// The code that the client receives.
    pub code: Code,
    /// A sentence for the client about this occurrence. It never contains an error text of a
    /// library, a query, a path or a secret.
    pub detail: Option<String>,
    /// The members that break a rule, for [`Code::ValidationFailed`].
    pub errors: Vec<FieldError>,
    /// The number of seconds after which the same request will be accepted, for 429 and 503.
    pub retry_after: Option<u32>,
    /// Further members of the response, for example `difficulty` of [`Code::CaptchaInvalid`].
    pub members: Vec<(&'static str, Value)>,
    /// The parameters of the Bearer challenge, for [`Code::StepUpRequired`].
    pub challenge: Option<Box<str>>,
    /// The `error` member that the OAuth RFCs define. Only OAuth endpoints set it.
    pub oauth: Option<OauthError>,
    /// The internal cause. It is logged once and never sent to the client.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// Creates a problem that has a code and nothing else.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            errors: Vec::new(),
            retry_after: None,
            members: Vec::new(),
            challenge: None,
            oauth: None,
            source: None,
        }
    }

    /// Adds a sentence for the client.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the member `error` that the OAuth RFCs define.
    #[must_use]
    pub fn oauth(mut self, error: OauthError) -> Self {
        self.oauth = Some(error);
        self
    }

    /// Adds a member to the response.
    #[must_use]
    pub fn member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// Adds the internal cause for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds `Retry-After` with the real waiting time in seconds, at least 1.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// Creates the problem for a 422 response. `errors` are the members that break a rule.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(Code::ValidationFailed) }
    }
}

/// The `error` value of RFC 6749 §5.2 and RFC 7009 §2.2.1. Standard OAuth clients know these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OauthError {
    /// A parameter is missing, malformed or sent twice, or the client authenticates in two ways.
    InvalidRequest,
    /// The client is unknown, or its secret is wrong or missing.
    InvalidClient,
    /// The client does not have the scope, or the scope does not exist.
    InvalidScope,
    /// The client is known but may not get tokens.
    UnauthorizedClient,
    /// The grant type is not supported.
    UnsupportedGrantType,
}

impl OauthError {
    /// The name as the RFCs spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidScope => "invalid_scope",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
        }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        let problem = Self::new(unavailable.code());
        let problem = match unavailable.cause {
            Cause::Shed | Cause::Dependency => problem.retry_after(1),
            Cause::Data => problem,
        };
        problem.because(unavailable)
    }
}

impl From<DbErr> for Problem {
    fn from(error: DbErr) -> Self {
        Unavailable::from(error).into()
    }
}

/// A dependency or a worker is overloaded or did not respond. The response is a 503.
///
/// Every module converts the failures of its dependencies into this type, so that a failure is
/// never mistaken for a negative result.
#[derive(Debug)]
pub struct Unavailable {
    /// The name of the dependency: `database`, `token store`, `smtp`, or the name of a pool.
    pub dependency: &'static str,
    /// Whether the dependency was overloaded or has failed.
    pub cause: Cause,
    /// The error of the dependency.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// The reason why a dependency is [`Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The call was refused before any work, because the load was too high.
    Shed,
    /// The dependency is down, slow or crashed.
    Dependency,
    /// The dependency cannot store the data of this call, and never will.
    Data,
}

impl Unavailable {
    /// The dependency has failed with the error `source`.
    pub fn because(
        dependency: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { dependency, cause: Cause::Dependency, source: Some(source.into()) }
    }

    /// The error code in the API.
    pub fn code(&self) -> Code {
        match self.cause {
            Cause::Shed => Code::Overloaded,
            Cause::Dependency => Code::DependencyUnavailable,
            Cause::Data => Code::InternalError,
        }
    }

    /// The queue of the dependency is full.
    pub fn shed(dependency: &'static str) -> Self {
        Self { dependency, cause: Cause::Shed, source: None }
    }
}

impl From<DbErr> for Unavailable {
    fn from(error: DbErr) -> Self {
        let cause = if is_data_exception(&error) { Cause::Data } else { Cause::Dependency };
        Self { cause, ..Self::because("database", error) }
    }
}

/// Whether PostgreSQL refused the values of a statement: class 22 of the SQLSTATE codes, such as a
/// character that the encoding of the database lacks (22P05) or that no text may contain (22021).
fn is_data_exception(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    // A code of SQLite is a number without a class.
    error.as_database_error().is_some_and(|said| {
        said.code().is_some_and(|code| code.len() == 5 && code.starts_with("22"))
    })
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cause, &self.source) {
            (Cause::Shed, _) => write!(f, "{} is overloaded", self.dependency),
            (Cause::Dependency | Cause::Data, Some(source)) => {
                write!(f, "{}: {source}", self.dependency)
            }
            (Cause::Dependency | Cause::Data, None) => {
                write!(f, "{} did not respond", self.dependency)
            }
        }
    }
}

impl Error for Unavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
