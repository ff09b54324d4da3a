//! The notice that an account got its first second factor. The link in this mail removes the factor
//! if another person, who knows the password, has added it.

use super::{Link, MailKind, UNDO_TTL, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind = MailKind {
    name: "first-factor-added",
    link: Link::RowToken { page: "undo-factor", ttl: UNDO_TTL },
    asks_for_proof: false,
    wanted: Wanted::Always,
    // Each notice has its own link.
    merges: false,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened, ttl) = (facts.service, facts.happened(), facts.link_ttl());
    match facts.locale {
        Locale::En => Message {
            subject: format!("Your account at {service} has a second factor now"),
            before: vec![
                format!("A second factor was added to your account at {service} {happened}."),
                "From now on a login needs your password and this factor. All other devices were \
                 logged out."
                    .to_owned(),
                "If that was you, you do not have to do anything. Keep your recovery codes in a \
                 safe place. If that was not you, remove the factor:"
                    .to_owned(),
            ],
            action: "Remove this factor",
            after: vec![
                format!("The link is valid for {ttl}."),
                "After that you have to set a new password: the person who added the factor knows \
                 your password."
                    .to_owned(),
            ],
        },
        Locale::De => Message {
            subject: format!("Ihr Konto bei {service} hat jetzt einen zweiten Faktor"),
            before: vec![
                format!(
                    "Zu Ihrem Konto bei {service} wurde {happened} ein zweiter Faktor hinzugefügt."
                ),
                "Ab jetzt brauchen Sie für die Anmeldung Ihr Passwort und diesen Faktor. Alle \
                 anderen Geräte wurden abgemeldet."
                    .to_owned(),
                "Wenn Sie das waren, müssen Sie nichts tun. Bewahren Sie Ihre \
                 Wiederherstellungscodes sicher auf. Wenn Sie das nicht waren, entfernen Sie den \
                 Faktor:"
                    .to_owned(),
            ],
            action: "Diesen Faktor entfernen",
            after: vec![
                format!("Der Link ist {ttl} gültig."),
                "Danach müssen Sie ein neues Passwort setzen: Wer den Faktor hinzugefügt hat, \
                 kennt Ihr Passwort."
                    .to_owned(),
            ],
        },
    }
}
