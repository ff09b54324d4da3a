//! The notice that the recovery codes were replaced.

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind = MailKind {
    name: "recovery-codes-replaced",
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
            subject: format!("Your recovery codes for {service} were replaced"),
            before: vec![
                format!("The recovery codes of your account at {service} were replaced {happened}."),
                "The older codes are invalid.".to_owned(),
                "If that was not you: set a new password, log in, replace the recovery codes, and check the factors of the account.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
        Locale::De => Message {
            subject: format!("Ihre Wiederherstellungscodes für {service} wurden ersetzt"),
            before: vec![
                format!("Die Wiederherstellungscodes Ihres Kontos bei {service} wurden {happened} ersetzt."),
                "Die älteren Codes sind ungültig.".to_owned(),
                "Wenn Sie das nicht waren: Setzen Sie ein neues Passwort, melden Sie sich an, ersetzen Sie die Wiederherstellungscodes und prüfen Sie die Faktoren des Kontos.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
    }
}
