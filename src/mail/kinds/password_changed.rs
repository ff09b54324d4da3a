//! The notice that the password was changed.

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind = MailKind {
    name: "password-changed",
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
            subject: format!("Your password for {service} was changed"),
            before: vec![
                format!("The password of your account at {service} was changed {happened}."),
                "All other devices were logged out.".to_owned(),
                "If that was not you, request a new password at once: choose \"Forgot password\" \
                 where you log in."
                    .to_owned(),
            ],
            action: "",
            after: vec![],
        },
        Locale::De => Message {
            subject: format!("Ihr Passwort für {service} wurde geändert"),
            before: vec![
                format!("Das Passwort Ihres Kontos bei {service} wurde {happened} geändert."),
                "Alle anderen Geräte wurden abgemeldet.".to_owned(),
                "Wenn Sie das nicht waren, fordern Sie sofort ein neues Passwort an: Wählen Sie \
                 bei der Anmeldung »Passwort vergessen«."
                    .to_owned(),
            ],
            action: "",
            after: vec![],
        },
    }
}
