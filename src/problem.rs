//! The catalogue of errors: every code a client can meet, pinned by a test.
//!
//! A [`Problem`] is what a handler returns instead of an answer: a [`Code`] with a public detail, and privately the
//! error behind it. `http/dispatch.rs` is the one place that turns it into a response (RFC 9457) and logs it, once.
//! Rooms below `http/` have their own error enums or use [`Unavailable`]; they know no status.

use std::error::Error;
use std::fmt;

use hyper::StatusCode;

/// A named error of the contract §4. The name is stable; the words around it may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// 400: the request cannot be read.
    MalformedRequest,
    /// 400: a mailed token is unknown, replaced, spent or expired.
    TokenInvalid,
    /// 400: the captcha is missing, wrong or spent.
    CaptchaInvalid,
    /// 401: address and password do not match.
    InvalidCredentials,
    /// 401: the Bearer token is missing or not good.
    InvalidToken,
    /// 401: a refresh token was shown again; its session is ended.
    RefreshReused,
    /// 403: known, and not allowed.
    Forbidden,
    /// 403: the account is disabled.
    AccountDisabled,
    /// 403: the address has to be verified first.
    EmailUnverified,
    /// 404.
    NotFound,
    /// 405, with `Allow`.
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    RequestTimeout,
    /// 413: the body is over 16 KiB.
    BodyTooLarge,
    /// 414: the URI is over 4 KiB.
    UriTooLong,
    /// 415: the body is not `application/json`.
    UnsupportedMediaType,
    /// 431: a header is over its limit.
    HeadersTooLarge,
    /// 409: the address has an account.
    EmailTaken,
    /// 409: the address is verified already.
    AlreadyVerified,
    /// 409: the state of things forbids it; the detail says what.
    Conflict,
    /// 422: a member breaks a rule; `errors` says which.
    ValidationFailed,
    /// 429, with `Retry-After`.
    RateLimited,
    /// 500: a handler's panic; nothing else.
    InternalError,
    /// 503: refused before any work, for load.
    Overloaded,
    /// 503: something the answer depends on is down or slow.
    DependencyUnavailable,
}

impl Code {
    /// Every code there is, in the order of the documentation.
    pub const ALL: [Self; 24] = [
        Self::MalformedRequest,
        Self::TokenInvalid,
        Self::CaptchaInvalid,
        Self::InvalidCredentials,
        Self::InvalidToken,
        Self::RefreshReused,
        Self::Forbidden,
        Self::AccountDisabled,
        Self::EmailUnverified,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::BodyTooLarge,
        Self::UriTooLong,
        Self::UnsupportedMediaType,
        Self::HeadersTooLarge,
        Self::EmailTaken,
        Self::AlreadyVerified,
        Self::Conflict,
        Self::ValidationFailed,
        Self::RateLimited,
        Self::InternalError,
        Self::Overloaded,
        Self::DependencyUnavailable,
    ];

    /// Name, status, title and what a client should do about it: one row of the catalogue.
    const fn row(self) -> (&'static str, u16, &'static str, &'static str) {
        match self {
            Self::MalformedRequest => (
                "malformed-request",
                400,
                "The request cannot be read",
                "The body is not one JSON object in UTF-8 without duplicate members, or a header or the path breaks HTTP's rules. Mend the request; sending it again as it is will not help.",
            ),
            Self::TokenInvalid => (
                "token-invalid",
                400,
                "The link is not valid",
                "The token out of the mail is unknown, was replaced by a newer one, was used, or has expired. Ask for a new mail.",
            ),
            Self::CaptchaInvalid => (
                "captcha-invalid",
                400,
                "The captcha is missing or wrong",
                "Get a challenge from GET /api/captcha (or the provider's widget), solve it, and send the answer as `captcha`. An answer is good once.",
            ),
            Self::InvalidCredentials => (
                "invalid-credentials",
                401,
                "Email or password is wrong",
                "The address and the password do not belong together. The answer is the same whether the account exists or not.",
            ),
            Self::InvalidToken => (
                "invalid-token",
                401,
                "The token is not valid",
                "Send `Authorization: Bearer <userToken>` with a token that is unexpired and whose session has not ended. Refresh it, or log in again.",
            ),
            Self::RefreshReused => (
                "refresh-reused",
                401,
                "The token was used before",
                "A token that had been replaced by a refresh was shown again, which is what a stolen token looks like. The session has ended on every device that shared it. Log in again.",
            ),
            Self::Forbidden => (
                "forbidden",
                403,
                "This is not allowed",
                "You are known, and may not do this. A browser's prefetch of a link that changes something is refused with this code too.",
            ),
            Self::AccountDisabled => (
                "account-disabled",
                403,
                "The account is disabled",
                "The operator has disabled this account. Only they can enable it.",
            ),
            Self::EmailUnverified => (
                "email-unverified",
                403,
                "The email address is not verified",
                "Open the link in the confirmation mail first; GET /api/resend-email-verification sends a new one.",
            ),
            Self::NotFound => (
                "not-found",
                404,
                "There is nothing here",
                "The path is not one of the API's, or the object does not exist for you.",
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                405,
                "The method is not allowed here",
                "The `Allow` header lists the methods of this path.",
            ),
            Self::RequestTimeout => (
                "request-timeout",
                408,
                "The request took too long to arrive",
                "The body was not complete within 15 seconds. Send it again over a better connection.",
            ),
            Self::BodyTooLarge => {
                ("body-too-large", 413, "The body is too large", "A body may have 16 KiB at most.")
            }
            Self::UriTooLong => (
                "uri-too-long",
                414,
                "The URI is too long",
                "Path and query together may have 4 KiB at most.",
            ),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                415,
                "The media type is not supported",
                "Send the body as `Content-Type: application/json`, without a content coding.",
            ),
            Self::HeadersTooLarge => (
                "headers-too-large",
                431,
                "A header is too large",
                "`Authorization` may have 8 KiB at most, all headers together 16 KiB.",
            ),
            Self::EmailTaken => (
                "email-taken",
                409,
                "The email address has an account",
                "Log in, or ask for a new password with POST /api/forgot-password.",
            ),
            Self::AlreadyVerified => (
                "already-verified",
                409,
                "The email address is verified already",
                "Nothing is left to do: log in.",
            ),
            Self::Conflict => (
                "conflict",
                409,
                "The state of things forbids it",
                "The detail says what stands in the way. Change that first.",
            ),
            Self::ValidationFailed => (
                "validation-failed",
                422,
                "The request breaks a rule",
                "`errors` lists each member with the rule it breaks.",
            ),
            Self::RateLimited => (
                "rate-limited",
                429,
                "Too many requests",
                "Wait for the seconds that `Retry-After` says; then the request will be let through.",
            ),
            Self::InternalError => (
                "internal-error",
                500,
                "Something broke on our side",
                "This is a defect of latchkey. The `traceId` finds it in the log.",
            ),
            Self::Overloaded => (
                "overloaded",
                503,
                "Too busy just now",
                "The request was refused before any work was done. Send it again after the seconds that `Retry-After` says.",
            ),
            Self::DependencyUnavailable => (
                "dependency-unavailable",
                503,
                "Something we depend on is not available",
                "The database, the token store or a worker did not answer in time. Your tokens are as good as before: send the request again after the seconds that `Retry-After` says.",
            ),
        }
    }

    /// The stable name, as in `code` and at the end of `type`.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The status it goes out with.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// A short sentence for people, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// What it means and what to do about it: the text of `GET /problems/{code}`.
    pub const fn advice(self) -> &'static str {
        self.row().3
    }

    /// The code of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

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
    /// What went wrong inside; logged once, never sent.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem that says no more than its code.
    pub fn new(code: Code) -> Self {
        Self { code, detail: None, errors: Vec::new(), retry_after: None, source: None }
    }

    /// Adds a sentence for the client.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
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

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        let code = match unavailable.cause {
            Cause::Shed => Code::Overloaded,
            Cause::Dependency => Code::DependencyUnavailable,
        };
        Self::new(code).retry_after(1).because(unavailable)
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

impl Error for Unavailable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_pinned() {
        let rows: Vec<String> = Code::ALL
            .iter()
            .map(|code| format!("{} {}", code.status().as_u16(), code.name()))
            .collect();
        insta::assert_snapshot!(rows.join("\n"), @r"
        400 malformed-request
        400 token-invalid
        400 captcha-invalid
        401 invalid-credentials
        401 invalid-token
        401 refresh-reused
        403 forbidden
        403 account-disabled
        403 email-unverified
        404 not-found
        405 method-not-allowed
        408 request-timeout
        413 body-too-large
        414 uri-too-long
        415 unsupported-media-type
        431 headers-too-large
        409 email-taken
        409 already-verified
        409 conflict
        422 validation-failed
        429 rate-limited
        500 internal-error
        503 overloaded
        503 dependency-unavailable
        ");
    }

    #[test]
    fn the_page_of_errors_is_the_catalogue() {
        let head = "| status | code | title | what it means, and what to do |\n|---|---|---|---|\n";
        let rows = Code::ALL.iter().map(|code| {
            let (name, status, title, advice) = code.row();
            format!("| {status} | `{name}` | {title} | {advice} |\n")
        });
        let table = format!("{head}{}", rows.collect::<String>());
        let page = include_str!("../docs/errors.md");
        assert!(page.ends_with(&table), "docs/errors.md has to end with\n{table}");
    }

    #[test]
    fn every_code_is_found_by_its_name() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.name()), Some(code));
        }
        assert_eq!(Code::from_name("no-such-code"), None);
    }
}
