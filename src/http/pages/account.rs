//! The pages behind mailed links. They confirm an email address, set a new password, or undo a
//! change of the email address.
//!
//! A GET changes nothing, because mail scanners follow links. Each page has a form that posts to
//! its own path and works without scripts. Every other state is a notice that says what happened
//! and what to do next. If latchkey could not handle the request, all three pages show the same
//! text ([`super::trouble()`]).

use askama::Template;

use crate::clock::UnixMillis;
use crate::mail::Locale;

use super::captcha::Captcha;
use super::{html, words};

/// The states of `/verify-email`.
///
/// The forms post `token`. The button "This was not me" also posts `action=reject`.
#[derive(Clone, Copy, Debug)]
pub enum VerifyEmail<'a> {
    /// The link belongs to a registration and is valid. The page asks the user to confirm the
    /// address, and offers the button "This was not me".
    Ready {
        token: &'a str,
        /// The masked address, see [`words::masked`].
        email_masked: &'a str,
        /// When the account was created, if known.
        created_at: Option<UnixMillis>,
        /// The IP address from which the account was created, if known.
        ip: Option<&'a str>,
    },
    /// The link belongs to a change of address and is valid. The page asks the user to confirm the
    /// new address, and offers the button "This was not me".
    ChangeReady {
        token: &'a str,
        /// The masked new address, see [`words::masked`].
        email_masked: &'a str,
    },
    /// The email address is confirmed. No session was opened.
    Confirmed,
    /// The account uses the new address from now on.
    Changed,
    /// The link was used before and has confirmed the address.
    AlreadyVerified,
    /// The link is unknown, replaced or expired.
    Invalid,
    /// The user has chosen "This was not me", and the unverified account is deleted.
    Rejected,
    /// The user has chosen "This was not me" for a change of address, and the link no longer works.
    ChangeRejected,
}

/// The states of `/reset-password`.
#[derive(Clone, Copy, Debug)]
pub enum ResetPassword<'a> {
    /// The link is valid. The page asks for the new password and posts `token` and `newPassword`.
    Ready {
        token: &'a str,
        /// The setting `password.min_length`, in characters.
        min_length: usize,
        /// A sentence that says why the last password was refused. The link stays valid.
        error: Option<&'a str>,
    },
    /// The request has no token. The page asks for the email address to which latchkey mails a
    /// link, and posts `action=request`, `email` and, if needed, `captcha`.
    Ask(MailRequest<'a>),
    /// The link is unknown, replaced, used or expired. The page shows the same form as
    /// [`ResetPassword::Ask`].
    Invalid(MailRequest<'a>),
    /// A new mail was requested. latchkey sends it if there is an account.
    Requested,
    /// The password is set, and every session has ended.
    Done,
    /// The password was changed after the link was mailed, usually with this link: the user has
    /// sent the form twice, or opens the link again.
    AlreadyDone,
}

/// The form that asks for a new mail.
#[derive(Clone, Copy, Debug)]
pub struct MailRequest<'a> {
    /// The captcha that `forgot` requires, if any.
    pub captcha: Captcha<'a>,
    /// The email address that the user typed before. It is empty at first.
    pub email: &'a str,
    /// A sentence that says what is wrong with the typed address.
    pub error: Option<&'a str>,
}

/// The states of `/undo-email-change`. The form posts `token`.
#[derive(Clone, Copy, Debug)]
pub enum UndoEmailChange<'a> {
    /// The link is valid. The page asks the user to undo the change.
    Ready {
        token: &'a str,
        /// The masked old address, which the account gets again, see [`words::masked`].
        email_masked: &'a str,
        /// When the address was changed, if known.
        changed_at: Option<UnixMillis>,
    },
    /// The account has its old address again.
    Undone,
    /// The user's sessions have ended, but another account uses the old address now.
    AddressTaken,
    /// The link is unknown, used or expired.
    Invalid,
}

impl VerifyEmail<'_> {
    pub const fn status(&self) -> u16 {
        match self {
            Self::Invalid => 400,
            _ => 200,
        }
    }
}

impl ResetPassword<'_> {
    pub const fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) => 400,
            Self::Ready { error: Some(_), .. } | Self::Ask(MailRequest { error: Some(_), .. }) => {
                422
            }
            _ => 200,
        }
    }
}

impl UndoEmailChange<'_> {
    pub const fn status(&self) -> u16 {
        match self {
            Self::Invalid => 400,
            _ => 200,
        }
    }
}

#[derive(Template)]
#[template(path = "verify_email.html")]
struct VerifyTemplate<'a> {
    token: &'a str,
    email_masked: &'a str,
    created_at: Option<String>,
    ip: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "confirm_change.html")]
struct ConfirmChangeTemplate<'a> {
    token: &'a str,
    email_masked: &'a str,
}

#[derive(Template)]
#[template(path = "reset_password.html")]
struct ResetTemplate<'a> {
    token: &'a str,
    min_length: usize,
    error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "request_reset.html")]
struct RequestTemplate<'a> {
    title: &'a str,
    lead: &'a str,
    request: MailRequest<'a>,
}

#[derive(Template)]
#[template(path = "undo_email_change.html")]
struct UndoTemplate<'a> {
    token: &'a str,
    email_masked: &'a str,
    changed_at: Option<String>,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    locale: Locale,
    title: &'a str,
    lines: &'a [&'a str],
    action: Option<(&'a str, String)>,
}

/// A page that has only a message.
pub(super) fn notice(title: &str, lines: &[&str]) -> String {
    notice_in(Locale::En, (title, lines), None)
}

/// A page with a message and a link to the next step.
pub(super) fn notice_with(title: &str, lines: &[&str], words: &str, href: &str) -> String {
    notice_in(Locale::En, (title, lines), Some((words, href)))
}

/// A page with a message in this language, and perhaps a link to the next step.
pub(super) fn notice_in(
    locale: Locale,
    (title, lines): (&str, &[&str]),
    action: Option<(&str, &str)>,
) -> String {
    let action = action.map(|(words, href)| (words, href.to_owned()));
    html(&Notice { locale, title, lines, action })
}

pub fn verify_email(state: &VerifyEmail<'_>) -> String {
    match *state {
        VerifyEmail::Ready { token, email_masked, created_at, ip } => {
            let created_at = created_at.map(words::moment);
            html(&VerifyTemplate { token, email_masked, created_at, ip })
        }
        VerifyEmail::ChangeReady { token, email_masked } => {
            html(&ConfirmChangeTemplate { token, email_masked })
        }
        VerifyEmail::Confirmed => notice(
            "Your address is confirmed",
            &["Thank you. You can close this page and log in where you registered."],
        ),
        VerifyEmail::Changed => notice(
            "Your new address is confirmed",
            &["From now on, log in with this address. You can close this page."],
        ),
        VerifyEmail::AlreadyVerified => notice(
            "Your address is already confirmed",
            &[
                "This link was already used, and there is nothing left to do. You can close this page and log in.",
            ],
        ),
        VerifyEmail::Invalid => notice(
            "This link does not work",
            &[
                "The link has expired, it is incomplete, or a newer mail has replaced it.",
                "Look for a newer mail from us. If there is none, log in where you registered and request a new confirmation mail there.",
            ],
        ),
        VerifyEmail::Rejected => notice(
            "The account is deleted",
            &[
                "Thank you for telling us. Your address is no longer used here. You can close this page.",
            ],
        ),
        VerifyEmail::ChangeRejected => notice(
            "The link no longer works",
            &[
                "Thank you for telling us. That account does not get your address. You can close this page.",
            ],
        ),
    }
}

pub fn reset_password(state: &ResetPassword<'_>) -> String {
    match *state {
        ResetPassword::Ready { token, min_length, error } => {
            html(&ResetTemplate { token, min_length, error })
        }
        ResetPassword::Ask(request) => html(&RequestTemplate {
            title: "Get a new password",
            lead: "Enter your email address. We will mail you a link to choose a new password.",
            request,
        }),
        ResetPassword::Invalid(request) => html(&RequestTemplate {
            title: "This link does not work any more",
            lead: "The link was used, it has expired, or a newer mail has replaced it. Enter your email address, and we will mail you a new link.",
            request,
        }),
        ResetPassword::Requested => notice(
            "Check your mail",
            &[
                "If there is an account with that address, we will mail you a new link. Older links stop working.",
                "If you get no mail within a few minutes, look in your spam folder. Also check that you entered the address that you registered with.",
            ],
        ),
        ResetPassword::Done => notice(
            "Your new password is set",
            &[
                "You are logged out on all devices. Log in with the new password. You can close this page.",
            ],
        ),
        ResetPassword::AlreadyDone => notice_with(
            "Your new password is set",
            &[
                "The password was changed after this link was mailed, so the link no longer works. Log in with the new password.",
                "If you did not change it, get another new password. This logs you out on all devices.",
            ],
            "Get another new password",
            "/reset-password",
        ),
    }
}

pub fn undo_email_change(state: &UndoEmailChange<'_>) -> String {
    match *state {
        UndoEmailChange::Ready { token, email_masked, changed_at } => {
            let changed_at = changed_at.map(words::moment);
            html(&UndoTemplate { token, email_masked, changed_at })
        }
        UndoEmailChange::Undone => notice_with(
            "The change is undone",
            &[
                "Your account has its old email address again.",
                "Someone who knows your password changed the address. Choose a new password now. This logs you out on all devices.",
            ],
            "Get a new password",
            "/reset-password",
        ),
        UndoEmailChange::AddressTaken => notice(
            "The account is logged out everywhere",
            &[
                "The account keeps its new email address, because another account uses the old one now.",
                "If the account with the new address is yours too, write to the operator of the service where you registered.",
            ],
        ),
        UndoEmailChange::Invalid => notice(
            "This link does not work any more",
            &[
                "The link was used, or it has expired.",
                "If you cannot log in to your account, write to the operator of the service where you registered.",
            ],
        ),
    }
}
