//! The error codes. Each code has a name, a status, a title and advice for the client. The codes
//! are in the order of the documentation.

use hyper::StatusCode;

/// Creates the enum, the list of all codes, and the name, status, title and advice of each code
/// from one table.
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
        "The body must be one JSON object in UTF-8 without duplicate members. The path and the \
            headers must follow the rules of HTTP. Correct the request before you send it again.";
    /// 400: a token from a mail is unknown, replaced, used or expired.
    TokenInvalid = "token-invalid" 400
        "The link is not valid"
        "The token from the mail is unknown, it was already used, it has expired, or a newer mail \
            has replaced it. Request a new mail.";
    /// 400: the captcha is missing, wrong or already used.
    CaptchaInvalid = "captcha-invalid" 400
        "The captcha is missing or wrong"
        "Get a challenge from GET /api/captcha or from the widget of the captcha vendor. Solve the \
            challenge and send the solution as `captcha`. Each solution can be used only once.";
    /// 401: the email address and the password do not match.
    InvalidCredentials = "invalid-credentials" 401
        "The credentials are wrong"
        "The email address and the password do not match, or the proof of the second factor is \
            wrong. The response is the same whether the account exists or not.";
    /// 401: the login needs the second factor of the account.
    FactorRequired = "factor-required" 401
        "The login needs a second factor"
        "The first step of the login is complete. Send `challenge` with a code or a passkey to POST \
            /api/login/factor within 5 minutes. `methods` lists the methods of the account.";
    /// 401: the challenge of a login is unknown, has ended or has expired.
    ChallengeInvalid = "challenge-invalid" 401
        "The challenge is not valid"
        "The challenge is unknown, it was already used, it has expired, or too many wrong codes or \
            passkeys were sent. Log in again.";
    /// 401: the action needs a newer or a stronger proof of the user.
    StepUpRequired = "step-up-required" 401
        "The action needs a fresh proof"
        "Your session is valid, but your last proof is too old or too weak for this action. Send a \
            proof to POST /api/step-up, then send the request again. `methods` lists the methods \
            that are enough.";
    /// 401: the bearer token is missing or not valid.
    InvalidToken = "invalid-token" 401
        "The token is not valid"
        "Send `Authorization: Bearer <userToken>` with a token that has not expired and whose \
            session has not ended. Refresh the token, or log in again.";
    /// 401: a refresh token was used again, so its session has ended.
    RefreshReused = "refresh-reused" 401
        "The token was used before"
        "A refresh had already replaced this token. A token that is used again was perhaps \
            stolen. So the session has ended on every device that used it. Log in again.";
    /// 403: the caller is authenticated, but does not have the permission.
    Forbidden = "forbidden" 403
        "This is not allowed"
        "You are authenticated, but you do not have permission to do this. A browser also gets \
            this error if it prefetches a link that changes something.";
    /// 403: the account is disabled.
    AccountDisabled = "account-disabled" 403
        "The account is disabled"
        "The operator has disabled this account. Only the operator can enable it.";
    /// 403: the email address must be verified first.
    EmailUnverified = "email-unverified" 403
        "The email address is not verified"
        "Open the link in the confirmation mail first. GET /api/resend-email-verification sends a \
            new mail.";
    /// 403: the invitation is for another email address than the caller's.
    OtherAddress = "other-address" 403
        "The invitation is for another email address"
        "Only the account with the invited email address can accept the invitation. Log in to that \
            account, or ask for an invitation to your own email address.";
    /// 403: the team requires a second factor, and the session has none.
    TeamFactorRequired = "team-factor-required" 403
        "The team requires a second factor"
        "Only a session with two factors can use this team. Add a factor with POST \
            /api/me/factors/totp, or send a code to POST /api/step-up. `methods` lists the methods \
            of your account.";
    /// 404: the path or the object does not exist.
    NotFound = "not-found" 404
        "The path or the object does not exist"
        "The API does not have this path, or the object does not exist, or you are not allowed to \
            see it.";
    /// 405: the path does not take the method. The response has the `Allow` header.
    MethodNotAllowed = "method-not-allowed" 405
        "The method is not allowed for this path"
        "The `Allow` header lists the methods of this path.";
    /// 408: the body did not arrive in time.
    RequestTimeout = "request-timeout" 408
        "The request took too long to arrive"
        "The body was not complete within 15 seconds. Send the request again over a better \
            connection.";
    /// 413: the body is over 16 KiB.
    BodyTooLarge = "body-too-large" 413
        "The body is too large"
        "The body of a request may have at most 16 KiB.";
    /// 414: the URI is over 4 KiB.
    UriTooLong = "uri-too-long" 414
        "The URI is too long"
        "The path and the query together may have at most 4 KiB.";
    /// 415: the body is not `application/json`.
    UnsupportedMediaType = "unsupported-media-type" 415
        "The media type is not supported"
        "Send the body as `Content-Type: application/json`, without a `Content-Encoding`.";
    /// 431: a header is over its limit.
    HeadersTooLarge = "headers-too-large" 431
        "A header is too large"
        "The `Authorization` header may have at most 8 KiB. A request may have at most 64 headers, \
            and all headers together may have at most 16 KiB.";
    /// 409: the email address already has an account.
    EmailTaken = "email-taken" 409
        "The email address already has an account"
        "Log in, or request a new password with POST /api/forgot-password.";
    /// 409: the email address is already verified.
    AlreadyVerified = "already-verified" 409
        "The email address is already verified"
        "There is nothing left to do. Log in.";
    /// 409: the current state does not allow the request. `detail` gives the reason.
    Conflict = "conflict" 409
        "The current state does not allow the request"
        "`detail` gives the reason. Remove the reason, then send the request again.";
    /// 422: one or more members break a rule. `errors` lists them.
    ValidationFailed = "validation-failed" 422
        "The request breaks a rule"
        "`errors` lists each member of the request that breaks a rule, together with the rule.";
    /// 429: the client is over a limit. The response has the `Retry-After` header.
    RateLimited = "rate-limited" 429
        "Too many requests"
        "Wait for the number of seconds in the `Retry-After` header. Then send the request again.";
    /// 500: a defect of latchkey, for example a panic in a handler.
    InternalError = "internal-error" 500
        "An internal error occurred"
        "This is a defect of latchkey. The operator can find the request in the log by the \
            `traceId` of this response.";
    /// 503: the request was refused before any work, because the load was too high.
    Overloaded = "overloaded" 503
        "The daemon is overloaded"
        "The request was refused before any work was done. Send it again after the number of \
            seconds in the `Retry-After` header.";
    /// 503: a dependency of the request is down or slow.
    DependencyUnavailable = "dependency-unavailable" 503
        "A dependency is not available"
        "The database, the token store or a worker did not respond in time. Your tokens are still \
            valid. Send the request again after the number of seconds in the `Retry-After` header.";
}

impl Code {
    /// The stable name. It is the value of `code` and the end of `type` in a response.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status of the response.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// A short sentence for users. It is the same for every occurrence of the error.
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
        401 factor-required
        401 challenge-invalid
        401 step-up-required
        401 invalid-token
        401 refresh-reused
        403 forbidden
        403 account-disabled
        403 email-unverified
        403 other-address
        403 team-factor-required
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
