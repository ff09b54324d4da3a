//! The notice that a replaced refresh token was used again and that its session was ended.

use super::{Link, MailKind};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind =
    MailKind { name: "session-reused", link: Link::None, asks_for_proof: false, text };

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened) = (facts.service, facts.happened());
    match facts.locale {
        Locale::En => Message {
            subject: format!("A session at {service} was ended for your safety"),
            before: vec![
                format!("A replaced token of your account at {service} was used again {happened}."),
                "Someone may have copied it. We ended that session. Every device that used it has to log in again."
                    .to_owned(),
                "If you do not know the device or the place, change your password.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
        Locale::De => Message {
            subject: format!("Eine Sitzung bei {service} wurde zur Sicherheit beendet"),
            before: vec![
                format!("Ein bereits ersetztes Token Ihres Kontos bei {service} wurde {happened} noch einmal benutzt."),
                "Jemand hat es vielleicht kopiert. Wir haben diese Sitzung beendet. Alle Geräte, die sie benutzt haben, \
                 müssen sich neu anmelden."
                    .to_owned(),
                "Wenn Ihnen Gerät oder Ort unbekannt sind, ändern Sie Ihr Passwort.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
    }
}
