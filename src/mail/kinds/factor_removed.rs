//! The notice that a second factor was removed.

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind = MailKind {
    name: "factor-removed",
    link: Link::None,
    asks_for_proof: false,
    wanted: Wanted::Always,
    // A change of the factors needs a fresh proof, and each one is reported.
    merges: false,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened) = (facts.service, facts.happened());
    match facts.locale {
        Locale::En => Message {
            subject: format!("A second factor was removed at {service}"),
            before: vec![
                format!("A second factor of your account at {service} was removed {happened}."),
                "You can no longer log in with it.".to_owned(),
                "If that was not you: set a new password, log in, replace the recovery codes, and check the factors of the account.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
        Locale::De => Message {
            subject: format!("Ein zweiter Faktor wurde bei {service} entfernt"),
            before: vec![
                format!("Ein zweiter Faktor Ihres Kontos bei {service} wurde {happened} entfernt."),
                "Sie können sich nicht mehr damit anmelden.".to_owned(),
                "Wenn Sie das nicht waren: Setzen Sie ein neues Passwort, melden Sie sich an, ersetzen Sie die Wiederherstellungscodes und prüfen Sie die Faktoren des Kontos.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
    }
}
