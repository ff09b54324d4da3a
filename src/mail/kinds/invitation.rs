//! The mail to an email address that a team invites, with a link to the invitation.

use std::time::Duration;

use latchkey_entity::Role;

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

/// How long an invitation is valid.
pub const INVITATION_TTL: Duration = Duration::from_hours(7 * 24);

pub(super) const MAIL: MailKind = MailKind {
    name: "invitation",
    link: Link::RowToken { page: "invitation", ttl: INVITATION_TTL },
    asks_for_proof: true,
    wanted: Wanted::WhileInvitationIsOpen,
    merges: false,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, ttl, inviter) = (facts.service, facts.link_ttl(), facts.inviter);
    match facts.locale {
        Locale::En => Message {
            subject: format!("Invitation to a team at {service}"),
            before: vec![
                match &facts.team {
                    Some(team) => {
                        format!("{inviter} invites you to the team \"{team}\" at {service}.")
                    }
                    None => format!("{inviter} invites you to a team at {service}."),
                },
                format!("Your role would be: {}.", facts.role.name()),
                "Look at the invitation, and accept or decline it:".to_owned(),
            ],
            action: "See the invitation",
            after: vec![
                format!(
                    "Only the account with this email address can accept the invitation. The \
                     invitation is valid for {ttl}."
                ),
                "If you do not know the sender, you do not have to do anything. Nothing happens \
                 unless you accept the invitation."
                    .to_owned(),
            ],
        },
        Locale::De => Message {
            subject: format!("Einladung in ein Team bei {service}"),
            before: vec![
                match &facts.team {
                    Some(team) => {
                        format!("{inviter} lädt Sie in das Team »{team}« bei {service} ein.")
                    }
                    None => format!("{inviter} lädt Sie in ein Team bei {service} ein."),
                },
                format!("Ihre Rolle wäre: {}.", german(facts.role)),
                "Sehen Sie sich die Einladung an, und nehmen Sie sie an oder lehnen Sie sie ab:"
                    .to_owned(),
            ],
            action: "Einladung ansehen",
            after: vec![
                format!(
                    "Nur das Konto mit dieser E-Mail-Adresse kann die Einladung annehmen. Die \
                     Einladung ist {ttl} gültig."
                ),
                "Wenn Sie den Absender nicht kennen, müssen Sie nichts tun. Es geschieht nichts, \
                 solange Sie die Einladung nicht annehmen."
                    .to_owned(),
            ],
        },
    }
}

const fn german(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Betrachter",
        Role::Member => "Mitglied",
        Role::Admin => "Administrator",
        Role::Owner => "Eigentümer",
    }
}
