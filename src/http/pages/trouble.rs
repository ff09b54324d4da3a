//! The page behind a mailed link if latchkey could not handle the request. Nothing was changed, and
//! the link stays valid. The user can load the same page again.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::account::{notice, notice_with};
use super::words;
use crate::http::answer::{self, Answer};
use crate::http::dispatch;
use crate::problem::{Code, Problem};

/// The characters that are not encoded in the value of a query (RFC 3986 §2.3).
pub(super) const QUERY: AsciiSet =
    NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The reason why latchkey could not handle the request.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// A dependency is down.
    Unavailable,
    /// The client is over a limit.
    TooMany {
        /// The number of seconds to wait, as in `Retry-After`.
        retry_after_s: u32,
    },
}

impl Trouble {
    pub const fn status(self) -> u16 {
        match self {
            Self::Unavailable => 503,
            Self::TooMany { .. } => 429,
        }
    }
}

/// Renders the page for the path and the token of a mailed link. The token is empty if the request
/// had none.
pub fn trouble(path: &str, token: &str, why: Trouble) -> String {
    let again = if token.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?token={}", utf8_percent_encode(token, &QUERY))
    };
    let wait;
    let (title, lines) = match why {
        Trouble::Unavailable => (
            "This does not work at the moment",
            [
                "A part of the service did not respond. Nothing was changed, and your link is still valid.",
                "Wait a moment and try again.",
            ],
        ),
        Trouble::TooMany { retry_after_s } => {
            wait = format!("Wait {} and try again.", words::wait(retry_after_s));
            (
                "Too many attempts",
                [
                    "There were too many requests from your network in a short time, so this request was refused. Nothing was changed.",
                    wait.as_str(),
                ],
            )
        }
    };
    notice_with(title, &lines, "Try again", &again)
}

/// The page for a form that another website sent. Nothing was changed.
pub fn other_site(public_url: &str) -> String {
    let advice = format!(
        "If you wanted to do this, open the link in your mail again. If you need a new password, open {public_url}/reset-password. If you did not want to do anything, close this page."
    );
    notice(
        "Another website sent this form",
        &[
            "A page of another website sent this request, so it was refused. Nothing was changed.",
            &advice,
        ],
    )
}

/// Logs a problem and responds with its page.
pub(super) fn failed(problem: &Problem, path: &str, token: &str) -> Result<Answer, Problem> {
    dispatch::log(problem);
    let retry_after_s = problem.retry_after.unwrap_or(1);
    let why = match problem.code {
        Code::RateLimited => Trouble::TooMany { retry_after_s },
        _ => Trouble::Unavailable,
    };
    answer::view(why.status(), trouble(path, token, why), Some(retry_after_s))
}
