//! The notice to the old address of a change of address, with a link that undoes the change.

use std::time::Duration;

use super::{Link, MailKind};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind = MailKind {
    name: "email-change-notice",
    // The old mailbox may be read rarely.
    link: Link::RowToken { page: "undo-email-change", ttl: Duration::from_hours(7 * 24) },
    asks_for_proof: false,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened, ttl) = (facts.service, facts.happened(), facts.link_ttl());
    match facts.locale {
        Locale::En => Message {
            subject: format!("Your address for {service} is being changed"),
            before: vec![
                format!("A change of the address of your account at {service} was requested {happened}."),
                format!("The new address is {}.", facts.new_email),
                "If that was you, you do not have to do anything. This was not you? Undo the change:"
                    .to_owned(),
            ],
            action: "Keep this address",
            after: vec![
                format!("The link works for {ttl}."),
                "Then change your password. Someone who knows it asked for this change.".to_owned(),
            ],
        },
        Locale::De => Message {
            subject: format!("Ihre Adresse für {service} wird geändert"),
            before: vec![
                format!("Für Ihr Konto bei {service} wurde {happened} eine Änderung der Adresse angefordert."),
                format!("Die neue Adresse ist {}.", facts.new_email),
                "Wenn Sie das waren, müssen Sie nichts tun. Das waren nicht Sie? Nehmen Sie die Änderung zurück:"
                    .to_owned(),
            ],
            action: "Diese Adresse behalten",
            after: vec![
                format!("Gültigkeit des Links: {ttl}."),
                "Ändern Sie danach Ihr Passwort. Jemand, der es kennt, hat die Änderung angefordert."
                    .to_owned(),
            ],
        },
    }
}
