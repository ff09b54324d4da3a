//! The page behind the link of an invitation, in each of its states.

use askama::Template;

use super::account::notice;
use super::{html, words};
use crate::clock::UnixMillis;

/// The states of `/invitation`. The form posts `token` and `password`.
#[derive(Clone, Copy, Debug)]
pub enum Invited<'a> {
    /// A good link: who invites, where, as what; asks for the password of the account.
    Ready {
        /// The token out of the link.
        token: &'a str,
        /// What whoever invites is called; none where their account is gone.
        inviter: Option<&'a str>,
        /// The team's name.
        team: &'a str,
        /// The role's name.
        role: &'a str,
        /// The address, see [`words::masked`].
        email_masked: &'a str,
        /// Void from this moment on.
        expires_at: UnixMillis,
        /// Why the last try was refused, a sentence; the link stays good.
        error: Option<&'a str>,
    },
    /// The person is a member now.
    Accepted {
        /// The team's name.
        team: &'a str,
    },
    /// The link is unknown, replaced, used or expired, or the invitation was taken back.
    Invalid,
    /// The state of things forbids it.
    Refused {
        /// What stands in the way, a sentence.
        why: &'a str,
    },
}

impl Invited<'_> {
    /// The HTTP status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Refused { .. } => 409,
            Self::Ready { error: Some(_), .. } => 422,
            _ => 200,
        }
    }
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationTemplate<'a> {
    token: &'a str,
    inviter: Option<&'a str>,
    team: &'a str,
    role: &'a str,
    email_masked: &'a str,
    expires_at: String,
    error: Option<&'a str>,
}

/// Renders `/invitation`.
pub fn invited(state: &Invited<'_>) -> String {
    match *state {
        Invited::Ready { token, inviter, team, role, email_masked, expires_at, error } => {
            let expires_at = words::moment(expires_at);
            html(&InvitationTemplate {
                token,
                inviter,
                team,
                role,
                email_masked,
                expires_at,
                error,
            })
        }
        Invited::Accepted { team } => {
            let joined = format!("You are a member of the team {team} now.");
            let next =
                "Go on where you sign in, and choose the team there. You can close this page.";
            notice("You have joined the team", &[&joined, next])
        }
        Invited::Invalid => notice(
            "This link does not work",
            &[
                "It was used, it has expired, a newer mail has replaced it, or the invitation was taken back.",
                "Look for a newer mail from us. If there is none, ask whoever invited you for another invitation.",
            ],
        ),
        Invited::Refused { why } => notice("You cannot join the team", &[why]),
    }
}
