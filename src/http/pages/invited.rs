//! The page behind the link of an invitation, in each of its states.

use askama::Template;

use super::account::notice;
use super::{html, words};
use crate::clock::UnixMillis;

/// The states of `/invitation`. The form posts `token` and `password`.
#[derive(Clone, Copy, Debug)]
pub enum Invited<'a> {
    /// The link is valid. The page shows the inviter, the team and the role, and asks for the
    /// password of the account.
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
}

impl Invited<'_> {
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
            let joined = format!("You are now a member of the team {team}.");
            let next = "Log in where you have your account and choose the team there. You can close this page.";
            notice("You have joined the team", &[&joined, next])
        }
        Invited::Invalid => notice(
            "This link does not work",
            &[
                "The link was used, it has expired, a newer mail has replaced it, or the invitation was withdrawn.",
                "Look for a newer mail from us. If there is none, ask for a new invitation.",
            ],
        ),
        Invited::Refused { why } => notice("You cannot join the team", &[why]),
    }
}
