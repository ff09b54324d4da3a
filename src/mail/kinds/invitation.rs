//! The mail to an address that a team invites, with a link to the invitation.

use std::time::Duration;

use latchkey_entity::Role;

use super::{Link, MailKind};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

/// How long an invitation can be accepted.
pub const INVITATION_TTL: Duration = Duration::from_hours(7 * 24);

pub(super) const MAIL: MailKind = MailKind {
    name: "invitation",
    link: Link::RowToken { page: "invitation", ttl: INVITATION_TTL },
    asks_for_proof: true,
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
                "Look at the invitation and decide:".to_owned(),
            ],
            action: "See the invitation",
            after: vec![
                format!("Only the account with this address can accept it, within {ttl}."),
                "You do not know the sender? Then you do not have to do anything. Nothing happens unless you accept."
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
                "Sehen Sie sich die Einladung an und entscheiden Sie:".to_owned(),
            ],
            action: "Einladung ansehen",
            after: vec![
                format!("Annehmen kann sie nur das Konto mit dieser Adresse. Gültigkeit: {ttl}."),
                "Sie kennen den Absender nicht? Dann müssen Sie nichts tun. Ohne Ihre Annahme geschieht nichts."
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
