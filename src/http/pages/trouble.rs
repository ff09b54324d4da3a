//! The page behind a mailed link if latchkey could not handle the request. Nothing was changed, and
//! the link stays valid. The user can load the same page again.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::account::{notice, notice_in};
use super::words;
use crate::http::answer::{self, Answer};
use crate::http::dispatch;
use crate::mail::Locale;
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

/// Renders the page in English for the path and the token of a mailed link. The token is empty if
/// the request had none.
pub fn trouble(path: &str, token: &str, why: Trouble) -> String {
    trouble_in(Locale::En, path, token, why)
}

/// Renders the page in this language.
pub fn trouble_in(locale: Locale, path: &str, token: &str, why: Trouble) -> String {
    let say = |english, german| words::say(locale, english, german);
    let again = if token.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?token={}", utf8_percent_encode(token, &QUERY))
    };
    let wait;
    let (title, lines) = match why {
        Trouble::Unavailable => (
            say("This does not work at the moment", "Das geht im Augenblick nicht"),
            [
                say(
                    "A part of the service did not respond. Nothing was changed, and your link is still valid.",
                    "Ein Teil des Dienstes hat nicht geantwortet. Nichts wurde geändert, und Ihr Link ist weiter gültig.",
                ),
                say(
                    "Wait a moment and try again.",
                    "Warten Sie einen Augenblick und versuchen Sie es noch einmal.",
                ),
            ],
        ),
        Trouble::TooMany { retry_after_s } => {
            wait = wait_and_try_again(locale, retry_after_s);
            (
                say("Too many attempts", "Zu viele Versuche"),
                [
                    say(
                        "There were too many requests from your network in a short time, so this request was refused. Nothing was changed.",
                        "Aus Ihrem Netz kamen in kurzer Zeit zu viele Anfragen, deshalb wurde diese Anfrage abgelehnt. Nichts wurde geändert.",
                    ),
                    wait.as_str(),
                ],
            )
        }
    };
    let action = (say("Try again", "Noch einmal versuchen"), again.as_str());
    notice_in(locale, (title, &lines), Some(action))
}

/// The sentence that says how long the user has to wait.
pub(super) fn wait_and_try_again(locale: Locale, retry_after_s: u32) -> String {
    let wait = words::wait_in(locale, retry_after_s);
    match locale {
        Locale::En => format!("Wait {wait} and try again."),
        Locale::De => format!("Warten Sie {wait} und versuchen Sie es noch einmal."),
    }
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

/// Logs a problem and responds with its page in English.
pub(super) fn failed(problem: &Problem, path: &str, token: &str) -> Result<Answer, Problem> {
    failed_in(Locale::En, problem, path, token)
}

/// Logs a problem and responds with its page in this language.
pub(super) fn failed_in(
    locale: Locale,
    problem: &Problem,
    path: &str,
    token: &str,
) -> Result<Answer, Problem> {
    dispatch::log(problem);
    let retry_after_s = problem.retry_after.unwrap_or(1);
    let why = match problem.code {
        Code::RateLimited => Trouble::TooMany { retry_after_s },
        _ => Trouble::Unavailable,
    };
    answer::view(why.status(), trouble_in(locale, path, token, why), Some(retry_after_s))
}
