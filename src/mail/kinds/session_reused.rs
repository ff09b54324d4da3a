//! The notice that a replaced refresh token was used again and that its session was ended.

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind = MailKind {
    name: "session-reused",
    link: Link::None,
    asks_for_proof: false,
    wanted: Wanted::Always,
    merges: true,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened) = (facts.service, facts.happened());
    match facts.locale {
        Locale::En => Message {
            subject: format!("A session at {service} was ended for your safety"),
            before: vec![
                format!(
                    "An old login token of your account at {service} was used again {happened}."
                ),
                "Someone may have copied this token, so we ended its session. You have to log in \
                 again on every device that used this session."
                    .to_owned(),
                "If you do not know the device or the IP address, change your password.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
        Locale::De => Message {
            subject: format!("Eine Sitzung bei {service} wurde zur Sicherheit beendet"),
            before: vec![
                format!(
                    "Ein altes Anmelde-Token Ihres Kontos bei {service} wurde {happened} noch \
                     einmal benutzt."
                ),
                "Vielleicht hat jemand dieses Token kopiert. Deshalb haben wir die Sitzung des \
                 Tokens beendet. Melden Sie sich auf allen Geräten, die diese Sitzung benutzt \
                 haben, neu an."
                    .to_owned(),
                "Wenn Ihnen das Gerät oder die IP-Adresse unbekannt ist, ändern Sie Ihr Passwort."
                    .to_owned(),
            ],
            action: "",
            after: vec![],
        },
    }
}
