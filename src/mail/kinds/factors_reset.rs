//! The notice that the operator removed all second factors.

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind = MailKind {
    name: "factors-reset",
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
            subject: format!("Your second factors at {service} were removed"),
            before: vec![
                format!("The operator of {service} removed all second factors of your account {happened}."),
                "You were logged out everywhere. Log in with your password, and add a second factor again.".to_owned(),
                "If you did not ask for this, contact the operator.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
        Locale::De => Message {
            subject: format!("Ihre zweiten Faktoren bei {service} wurden entfernt"),
            before: vec![
                format!("Der Betreiber von {service} hat {happened} alle zweiten Faktoren Ihres Kontos entfernt."),
                "Sie wurden überall abgemeldet. Melden Sie sich mit Ihrem Passwort an, und fügen Sie wieder einen zweiten Faktor hinzu.".to_owned(),
                "Wenn Sie nicht darum gebeten haben, wenden Sie sich an den Betreiber.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
    }
}
