//! The notice that a recovery code was used. It says how many codes are left.

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};

pub(super) const MAIL: MailKind = MailKind {
    name: "recovery-code-used",
    link: Link::None,
    asks_for_proof: false,
    wanted: Wanted::Always,
    // A user has at most ten codes, and each use is reported.
    merges: false,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened) = (facts.service, facts.happened());
    match facts.locale {
        Locale::En => Message {
            subject: format!("A recovery code was used at {service}"),
            before: vec![
                format!("A recovery code of your account at {service} was used {happened}."),
                codes_left(facts),
                "If that was not you: set a new password, log in, replace the recovery codes, and check the factors of the account.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
        Locale::De => Message {
            subject: format!("Ein Wiederherstellungscode wurde bei {service} verwendet"),
            before: vec![
                format!("Ein Wiederherstellungscode Ihres Kontos bei {service} wurde {happened} verwendet."),
                codes_left(facts),
                "Wenn Sie das nicht waren: Setzen Sie ein neues Passwort, melden Sie sich an, ersetzen Sie die Wiederherstellungscodes und prüfen Sie die Faktoren des Kontos.".to_owned(),
            ],
            action: "",
            after: vec![],
        },
    }
}

/// If the user has few codes left, this paragraph advises to create new ones.
const FEW: u32 = 3;

fn codes_left(facts: &Facts<'_>) -> String {
    let left = facts.codes_left;
    let is_few = left <= FEW;
    match facts.locale {
        Locale::En => {
            let count = if left == 1 { "1 code".to_owned() } else { format!("{left} codes") };
            let advice = if is_few { " Create new codes." } else { "" };
            format!("You have {count} left.{advice}")
        }
        Locale::De => {
            let count = if left == 1 { "1 Code".to_owned() } else { format!("{left} Codes") };
            let advice = if is_few { " Erstellen Sie neue Codes." } else { "" };
            format!("Sie haben noch {count}.{advice}")
        }
    }
}
