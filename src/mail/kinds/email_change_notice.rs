//! The notice to the old email address when a user changes the address, with a link that undoes the
//! change.

use std::time::Duration;

use latchkey_entity::email_change::EmailChangeState;

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

/// How long a change of the email address can be undone after the notice was sent. Some users read
/// the mails to their old address only rarely.
pub const UNDO_TTL: Duration = Duration::from_hours(7 * 24);

pub(super) const MAIL: MailKind = MailKind {
    name: "email-change-notice",
    link: Link::RowToken { page: "undo-email-change", ttl: UNDO_TTL },
    asks_for_proof: false,
    wanted: Wanted::WhileChangeIs(&[EmailChangeState::Pending, EmailChangeState::Done]),
    // Each notice has its own link, which undoes that change. An account can ask for three
    // changes an hour.
    merges: false,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened, ttl) = (facts.service, facts.happened(), facts.link_ttl());
    match facts.locale {
        Locale::En => Message {
            subject: format!("Your address for {service} is being changed"),
            before: vec![
                format!(
                    "Someone asked to change the email address of your account at {service}. The \
                     request was made {happened}."
                ),
                format!("The new email address is {}.", facts.new_email),
                "If that was you, you do not have to do anything. If that was not you, undo the \
                 change:"
                    .to_owned(),
            ],
            action: "Keep this address",
            after: vec![
                format!("The link is valid for {ttl}."),
                "After you have undone the change, change your password: the person who asked for \
                 this change knows your password."
                    .to_owned(),
            ],
        },
        Locale::De => Message {
            subject: format!("Ihre Adresse für {service} wird geändert"),
            before: vec![
                format!(
                    "Jemand möchte die E-Mail-Adresse Ihres Kontos bei {service} ändern. Die \
                     Anfrage kam {happened}."
                ),
                format!("Die neue E-Mail-Adresse ist {}.", facts.new_email),
                "Wenn Sie das waren, müssen Sie nichts tun. Wenn Sie das nicht waren, nehmen Sie \
                 die Änderung zurück:"
                    .to_owned(),
            ],
            action: "Diese Adresse behalten",
            after: vec![
                format!("Der Link ist {ttl} gültig."),
                "Ändern Sie danach Ihr Passwort: Wer die Änderung angefordert hat, kennt Ihr \
                 Passwort."
                    .to_owned(),
            ],
        },
    }
}
