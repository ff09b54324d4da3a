//! The catalogue of errors: every code a client can meet, pinned by a test.
//!
//! A [`Problem`] is what a handler returns instead of an answer: a [`Code`] with a public detail, and privately the
//! error behind it. `http/dispatch.rs` is the one place that turns it into a response (RFC 9457) and logs it, once.
//! Rooms below `http/` have their own error enums or use [`Unavailable`]; they know no status.

mod code;

use std::error::Error;
use std::fmt;

pub use code::Code;

/// One member of a request that breaks a rule: an entry of `errors` in a 422.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where, as a JSON pointer (RFC 6901): `/email`.
    pub pointer: String,
    /// Which rule: `required`, `type`, `format`, `too-short`, `too-long`, `too-common`, `forbidden-character`, …
    pub code: &'static str,
    /// The rule in a sentence.
    pub detail: String,
}

/// Why a request gets no answer: a code for the client, the reason for the log.
#[derive(Debug)]
pub struct Problem {
    /// What the client is told.
    pub code: Code,
    /// One sentence more for the client; never a library's words, a query, a path or a secret.
    pub detail: Option<String>,
    /// The members at fault; for [`Code::ValidationFailed`].
    pub errors: Vec<FieldError>,
    /// Seconds after which the same request will get through; for 429 and 503.
    pub retry_after: Option<u32>,
    /// How many times as hard as a usual one the captcha has to be; for [`Code::CaptchaInvalid`].
    pub difficulty: Option<u32>,
    /// The `error` of the OAuth RFCs, where an endpoint of theirs answers.
    pub oauth: Option<OauthError>,
    /// What went wrong inside; logged once, never sent.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem that says no more than its code.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            errors: Vec::new(),
            retry_after: None,
            difficulty: None,
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

    /// Adds the member `error`, for clients that read it as the OAuth RFCs have it.
    #[must_use]
    pub fn oauth(mut self, error: OauthError) -> Self {
        self.oauth = Some(error);
        self
    }

    /// Adds the private reason.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds an honest `Retry-After`, in seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// A 422 with the members at fault.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(Code::ValidationFailed) }
    }
}

/// `error` of RFC 6749 §5.2 and RFC 7009 §2.2.1: a second name of a problem, for stock OAuth clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OauthError {
    /// A parameter is missing, sent twice, or malformed; or the client authenticates in two ways.
    InvalidRequest,
    /// The client is unknown, or its secret wrong or missing.
    InvalidClient,
    /// A scope that the client has not, or no scope at all.
    InvalidScope,
    /// The client is known, and not one that gets tokens.
    UnauthorizedClient,
    /// Another grant than ours.
    UnsupportedGrantType,
}

impl OauthError {
    /// As the RFCs spell it.
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
        Self::new(unavailable.code()).retry_after(1).because(unavailable)
    }
}

impl From<sea_orm::DbErr> for Problem {
    fn from(error: sea_orm::DbErr) -> Self {
        Unavailable::from(error).into()
    }
}

/// In doubt, 503: a dependency or a worker that did not answer, whatever the reason.
///
/// Every room folds the outages of what it stands on into this one type, so that none can be mistaken for a "no".
#[derive(Debug)]
pub struct Unavailable {
    /// Which: `database`, `token store`, `smtp`, or a pool's name.
    pub dependency: &'static str,
    /// Refused for load, or broken.
    pub cause: Cause,
    /// What it said.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// Why something is [`Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Refused before any work, for load.
    Shed,
    /// Down, slow, or crashed.
    Dependency,
}

impl Unavailable {
    /// A dependency that failed with `source`.
    pub fn because(
        dependency: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { dependency, cause: Cause::Dependency, source: Some(source.into()) }
    }

    /// Its code in the API.
    pub fn code(&self) -> Code {
        match self.cause {
            Cause::Shed => Code::Overloaded,
            Cause::Dependency => Code::DependencyUnavailable,
        }
    }

    /// A queue that is full.
    pub fn shed(dependency: &'static str) -> Self {
        Self { dependency, cause: Cause::Shed, source: None }
    }
}

impl From<sea_orm::DbErr> for Unavailable {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::because("database", error)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cause, &self.source) {
            (Cause::Shed, _) => write!(f, "{} is overloaded", self.dependency),
            (Cause::Dependency, Some(source)) => write!(f, "{}: {source}", self.dependency),
            (Cause::Dependency, None) => write!(f, "{} did not answer", self.dependency),
        }
    }
}

impl Error for Unavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
