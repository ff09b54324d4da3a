//! The error codes with name, status, title and advice, in the order of the documentation.

use hyper::StatusCode;

/// Creates the enum, the list of all codes and the rows from one table.
macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $code:ident = $name:literal $status:literal $title:literal $advice:literal;)+) => {
        /// A named error (docs/errors.md). The name is stable; the title and the advice may change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $code,)+
        }

        impl Code {
            /// All codes, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// Name, status, title and advice of a code.
            const fn row(self) -> (&'static str, u16, &'static str, &'static str) {
                match self {
                    $(Self::$code => ($name, $status, $title, $advice),)+
                }
            }
        }
    };
}

catalogue! {
    /// 400: the request cannot be read.
    MalformedRequest = "malformed-request" 400
        "The request cannot be read"
        "The body is not one JSON object in UTF-8 without duplicate members, or a header or the path breaks HTTP's \
            rules. Mend the request; sending it again as it is will not help.";
    /// 400: a token from a mail is unknown, replaced, used or expired.
    TokenInvalid = "token-invalid" 400
        "The link is not valid"
        "The token out of the mail is unknown, was replaced by a newer one, was used, or has expired. Ask for a new \
            mail.";
    /// 400: the captcha is missing, wrong or already used.
    CaptchaInvalid = "captcha-invalid" 400
        "The captcha is missing or wrong"
        "Get a challenge from GET /api/captcha (or the provider's widget), solve it, and send the answer as \
            `captcha`. An answer is good once.";
    /// 401: the email address and the password do not match.
    InvalidCredentials = "invalid-credentials" 401
        "Email or password is wrong"
        "The address and the password do not belong together. The answer is the same whether the account exists or \
            not.";
    /// 401: the bearer token is missing or not valid.
    InvalidToken = "invalid-token" 401
        "The token is not valid"
        "Send `Authorization: Bearer <userToken>` with a token that is unexpired and whose session has not ended. \
            Refresh it, or log in again.";
    /// 401: a refresh token was used again, so its session has ended.
    RefreshReused = "refresh-reused" 401
        "The token was used before"
        "A token that had been replaced by a refresh was shown again, which is what a stolen token looks like. The \
            session has ended on every device that shared it. Log in again.";
    /// 403: the caller is authenticated and may not do this.
    Forbidden = "forbidden" 403
        "This is not allowed"
        "You are known, and may not do this. A browser's prefetch of a link that changes something is refused with \
            this code too.";
    /// 403: the account is disabled.
    AccountDisabled = "account-disabled" 403
        "The account is disabled"
        "The operator has disabled this account. Only they can enable it.";
    /// 403: the email address must be verified first.
    EmailUnverified = "email-unverified" 403
        "The email address is not verified"
        "Open the link in the confirmation mail first; GET /api/resend-email-verification sends a new one.";
    /// 403: the invitation is for another email address than the caller's.
    OtherAddress = "other-address" 403
        "The invitation is for another address"
        "An invitation is accepted by the account of the address that it was mailed to. Log in with that one, or ask for \
            an invitation of the address you have.";
    /// 404: the path or the object does not exist.
    NotFound = "not-found" 404
        "There is nothing here"
        "The path is not one of the API's, or the object does not exist for you.";
    /// 405, with `Allow`.
    MethodNotAllowed = "method-not-allowed" 405
        "The method is not allowed here"
        "The `Allow` header lists the methods of this path.";
    /// 408: the body did not arrive in time.
    RequestTimeout = "request-timeout" 408
        "The request took too long to arrive"
        "The body was not complete within 15 seconds. Send it again over a better connection.";
    /// 413: the body is over 16 KiB.
    BodyTooLarge = "body-too-large" 413
        "The body is too large"
        "A body may have 16 KiB at most.";
    /// 414: the URI is over 4 KiB.
    UriTooLong = "uri-too-long" 414
        "The URI is too long"
        "Path and query together may have 4 KiB at most.";
    /// 415: the body is not `application/json`.
    UnsupportedMediaType = "unsupported-media-type" 415
        "The media type is not supported"
        "Send the body as `Content-Type: application/json`, without a content coding.";
    /// 431: a header is over its limit.
    HeadersTooLarge = "headers-too-large" 431
        "A header is too large"
        "`Authorization` may have 8 KiB at most, all headers together 16 KiB in 64 lines.";
    /// 409: the email address already has an account.
    EmailTaken = "email-taken" 409
        "The email address has an account"
        "Log in, or ask for a new password with POST /api/forgot-password.";
    /// 409: the email address is already verified.
    AlreadyVerified = "already-verified" 409
        "The email address is verified already"
        "Nothing is left to do: log in.";
    /// 409: the current state does not allow the request. The detail gives the reason.
    Conflict = "conflict" 409
        "The state of things forbids it"
        "The detail says what stands in the way. Change that first.";
    /// 422: one or more members break a rule. `errors` lists them.
    ValidationFailed = "validation-failed" 422
        "The request breaks a rule"
        "`errors` lists each member with the rule it breaks.";
    /// 429, with `Retry-After`.
    RateLimited = "rate-limited" 429
        "Too many requests"
        "Wait for the seconds that `Retry-After` says; then the request will be let through.";
    /// 500: a defect of latchkey, for example a panic in a handler.
    InternalError = "internal-error" 500
        "Something broke on our side"
        "This is a defect of latchkey. The `traceId` finds it in the log.";
    /// 503: refused before any work because of too much load.
    Overloaded = "overloaded" 503
        "Too busy just now"
        "The request was refused before any work was done. Send it again after the seconds that `Retry-After` says.";
    /// 503: a dependency of the request is down or slow.
    DependencyUnavailable = "dependency-unavailable" 503
        "Something we depend on is not available"
        "The database, the token store or a worker did not answer in time. Your tokens are as good as before: send \
            the request again after the seconds that `Retry-After` says.";
}

impl Code {
    /// The stable name, as in `code` and at the end of `type`.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status of the response.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// A short sentence for people, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// The meaning of the error and what the client can do: the text of `GET /problems/{code}`.
    pub const fn advice(self) -> &'static str {
        self.row().3
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

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
        403 other-address
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
        let page = include_str!("../../docs/errors.md");
        assert!(page.ends_with(&table), "docs/errors.md has to end with\n{table}");
    }

    #[test]
    fn every_code_is_found_by_its_name() {
        for code in Code::ALL.iter().copied() {
            assert_eq!(Code::from_name(code.name()), Some(code));
        }
        assert_eq!(Code::from_name("no-such-code"), None);
    }
}
