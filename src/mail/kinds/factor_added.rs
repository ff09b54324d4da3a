//! The notice that another second factor was added.

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind = MailKind {
    name: "factor-added",
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
            subject: format!("A second factor was added at {service}"),
            before: vec![
                format!("A second factor was added to your account at {service} {happened}."),
                "You can log in with it from now on. A new authenticator app replaces the earlier one.".to_owned(),
                "If that was not you: set a new password, log in, replace the recovery codes, and check the factors of the account.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
        Locale::De => Message {
            subject: format!("Ein zweiter Faktor wurde bei {service} hinzugefügt"),
            before: vec![
                format!("Zu Ihrem Konto bei {service} wurde {happened} ein zweiter Faktor hinzugefügt."),
                "Sie können sich ab jetzt damit anmelden. Eine neue Authenticator-App ersetzt die frühere.".to_owned(),
                "Wenn Sie das nicht waren: Setzen Sie ein neues Passwort, melden Sie sich an, ersetzen Sie die Wiederherstellungscodes und prüfen Sie die Faktoren des Kontos.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
    }
}
