//! The page behind the link of an invitation, in each of its states and in German and English.

use askama::Template;

use super::account::notice_in;
use super::{html, words};
use crate::clock::UnixMillis;
use crate::factor::FactorMethod;
use crate::mail::Locale;

/// The states of `/invitation`. Each form posts `token`.
#[derive(Clone, Copy, Debug)]
pub enum Invited<'a> {
    /// The link is valid. The page shows the inviter, the team and the role, and asks for the
    /// password of the account. The form posts `password`.
    Ready {
        token: &'a str,
        /// The inviter. It is none if the inviter's account is deleted.
        inviter: Option<&'a str>,
        team: &'a str,
        role: &'a str,
        /// The masked address, see [`words::masked`].
        email_masked: &'a str,
        expires_at: UnixMillis,
        /// A sentence that says why the last attempt was refused. The link stays valid.
        error: Option<&'a str>,
    },
    /// The password was right, and the account has a second factor. The page asks for it. The forms
    /// post `challenge`, and `code`, `recoveryCode` or `passkey`.
    Factor {
        token: &'a str,
        challenge: &'a str,
        /// The methods that the account has.
        methods: &'a [FactorMethod],
        /// The options for `navigator.credentials.get` in JSON, if a passkey can be used.
        passkey: Option<&'a str>,
        team: &'a str,
        error: Option<FactorError<'a>>,
    },
    /// The user is now a member of the team.
    Accepted {
        /// The name of the team.
        team: &'a str,
    },
    /// The link is unknown, replaced, used or expired, or the invitation was withdrawn.
    Invalid,
    /// The user cannot join the team at present.
    Refused {
        /// A sentence that gives the reason.
        why: &'a str,
    },
    /// The team requires a second factor, and the account has none. The invitation stays open.
    FactorNeeded {
        /// The name of the team.
        team: &'a str,
    },
}

/// Why the last factor was refused. The challenge is still valid.
#[derive(Clone, Copy, Debug)]
pub struct FactorError<'a> {
    /// The method that was refused.
    pub method: FactorMethod,
    /// A sentence for the user.
    pub text: &'a str,
    /// How long the user has to wait, if a code was not checked.
    pub retry_after_s: Option<u32>,
}

impl Invited<'_> {
    pub const fn status(&self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::FactorNeeded { .. } => 403,
            Self::Refused { .. } => 409,
            Self::Factor { error: Some(FactorError { retry_after_s: Some(_), .. }), .. } => 429,
            Self::Ready { error: Some(_), .. } | Self::Factor { error: Some(_), .. } => 422,
            _ => 200,
        }
    }

    /// The value of `Retry-After`.
    pub fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Factor { error, .. } => error.and_then(|it| it.retry_after_s),
            _ => None,
        }
    }
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationTemplate<'a> {
    locale: Locale,
    token: &'a str,
    inviter: Option<&'a str>,
    team: &'a str,
    role: &'a str,
    email_masked: &'a str,
    expires_at: String,
    error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "invitation_factor.html")]
struct FactorTemplate<'a> {
    locale: Locale,
    token: &'a str,
    challenge: &'a str,
    has_app: bool,
    has_recovery_codes: bool,
    passkey: Option<&'a str>,
    team: &'a str,
    error: Option<FactorError<'a>>,
}

impl InvitationTemplate<'_> {
    fn say<'t>(&self, english: &'t str, german: &'t str) -> &'t str {
        words::say(self.locale, english, german)
    }
}

impl<'a> FactorTemplate<'a> {
    fn say<'t>(&self, english: &'t str, german: &'t str) -> &'t str {
        words::say(self.locale, english, german)
    }

    fn error_of(&self, method: FactorMethod) -> Option<&'a str> {
        self.error.filter(|error| error.method == method).map(|error| error.text)
    }
}

pub fn invited(locale: Locale, state: &Invited<'_>) -> String {
    let say = |english, german| words::say(locale, english, german);
    match *state {
        Invited::Ready { token, inviter, team, role, email_masked, expires_at, error } => {
            let (role, expires_at) =
                (words::role(locale, role), words::moment_in(locale, expires_at));
            html(&InvitationTemplate {
                locale,
                token,
                inviter,
                team,
                role,
                email_masked,
                expires_at,
                error,
            })
        }
        Invited::Factor { token, challenge, methods, passkey, team, error } => {
            let has_app = methods.contains(&FactorMethod::Totp);
            let has_recovery_codes = methods.contains(&FactorMethod::RecoveryCode);
            html(&FactorTemplate {
                locale,
                token,
                challenge,
                has_app,
                has_recovery_codes,
                passkey,
                team,
                error,
            })
        }
        Invited::Accepted { team } => {
            let joined = match locale {
                Locale::En => format!("You are now a member of the team {team}."),
                Locale::De => format!("Sie sind jetzt Mitglied des Teams {team}."),
            };
            let next = say(
                "Log in where you have your account and choose the team there. You can close this page.",
                "Melden Sie sich dort an, wo Sie Ihr Konto haben, und wählen Sie dort das Team. Sie können diese Seite schließen.",
            );
            let title = say("You have joined the team", "Sie sind dem Team beigetreten");
            notice_in(locale, (title, &[&joined, next]), None)
        }
        Invited::Invalid => {
            let lines = [
                say(
                    "The link was used, it has expired, a newer mail has replaced it, or the invitation was withdrawn.",
                    "Der Link wurde benutzt, er ist abgelaufen, eine neuere Mail hat ihn ersetzt, oder die Einladung wurde zurückgezogen.",
                ),
                say(
                    "Look for a newer mail from us. If there is none, ask for a new invitation.",
                    "Suchen Sie nach einer neueren Mail von uns. Wenn es keine gibt, bitten Sie um eine neue Einladung.",
                ),
            ];
            let title = say("This link does not work", "Dieser Link geht nicht");
            notice_in(locale, (title, &lines), None)
        }
        Invited::Refused { why } => refused(locale, &words::refusal(locale, why)),
        Invited::FactorNeeded { team } => {
            let why = match locale {
                Locale::En => format!(
                    "The team {team} requires a second factor. Log in where you have your account, add a passkey or an authenticator app there, and open this link again. The invitation stays open."
                ),
                Locale::De => format!(
                    "Das Team {team} verlangt einen zweiten Faktor. Melden Sie sich dort an, wo Sie Ihr Konto haben, fügen Sie dort einen Passkey oder eine Authenticator-App hinzu, und öffnen Sie diesen Link noch einmal. Die Einladung bleibt offen."
                ),
            };
            refused(locale, &why)
        }
    }
}

fn refused(locale: Locale, why: &str) -> String {
    let title =
        words::say(locale, "You cannot join the team", "Sie können dem Team nicht beitreten");
    notice_in(locale, (title, &[why]), None)
}
