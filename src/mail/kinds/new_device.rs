//! The notice of a login by password on a device that the account does not know.

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind = MailKind {
    name: "new-device",
    link: Link::Page("reset-password"),
    asks_for_proof: false,
    wanted: Wanted::Always,
    // Each notice describes another device, which the user must recognise. A budget limits a
    // recipient to five such notices a day.
    merges: false,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened) = (facts.service, facts.happened());
    match facts.locale {
        Locale::En => Message {
            subject: format!("A new login to your account at {service}"),
            before: vec![
                format!("Someone logged in to your account at {service} {happened}."),
                "The password was correct. The device, browser or app is new to your account. A \
                 private window also counts as new, and so does a browser whose data was cleared."
                    .to_owned(),
                "If that was you, you do not have to do anything. If that was not you, someone \
                 knows your password. Then choose a new password, which logs out every device:"
                    .to_owned(),
            ],
            action: "Choose a new password",
            after: vec![
                "On a device where you are logged in, you can also see your sessions and end them."
                    .to_owned(),
            ],
        },
        Locale::De => Message {
            subject: format!("Neue Anmeldung an Ihrem Konto bei {service}"),
            before: vec![
                format!("Jemand hat sich {happened} an Ihrem Konto bei {service} angemeldet."),
                "Das Passwort war richtig. Gerät, Browser oder App waren neu für Ihr Konto. Auch \
                 ein privates Fenster oder ein Browser, dessen Daten gelöscht wurden, gilt als neu."
                    .to_owned(),
                "Wenn Sie das waren, müssen Sie nichts tun. Wenn Sie das nicht waren, kennt jemand \
                 Ihr Passwort. Wählen Sie dann ein neues Passwort. Damit werden alle Geräte \
                 abgemeldet:"
                    .to_owned(),
            ],
            action: "Neues Passwort festlegen",
            after: vec![
                "Auf einem Gerät, auf dem Sie angemeldet sind, können Sie Ihre Sitzungen auch \
                 ansehen und beenden."
                    .to_owned(),
            ],
        },
    }
}
