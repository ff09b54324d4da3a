//! The mail to the email address of a new account, with a link that confirms the address.

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};
use crate::store::TokenKind;

pub(super) const MAIL: MailKind = MailKind {
    name: "confirm",
    link: Link::StoredToken {
        page: "verify-email",
        token: TokenKind::Verify,
        ttl: |ttls| ttls.verification,
    },
    asks_for_proof: true,
    wanted: Wanted::WhileUnproven,
    merges: false,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened, ttl) = (facts.service, facts.happened(), facts.link_ttl());
    match facts.locale {
        Locale::En => Message {
            subject: format!("Confirm your address for {service}"),
            before: vec![
                format!("An account at {service} was created with this email address {happened}."),
                "If that was you, confirm that this email address is yours:".to_owned(),
            ],
            action: "Confirm the address",
            after: vec![
                format!("The link is valid for {ttl}."),
                "If that was not you, open the same link and choose \"This was not me\" there. \
                 That removes the account."
                    .to_owned(),
            ],
        },
        Locale::De => Message {
            subject: format!("Bestätigen Sie Ihre Adresse für {service}"),
            before: vec![
                format!(
                    "Mit dieser E-Mail-Adresse wurde {happened} ein Konto bei {service} angelegt."
                ),
                "Wenn Sie das waren, bestätigen Sie, dass diese E-Mail-Adresse Ihnen gehört:"
                    .to_owned(),
            ],
            action: "Adresse bestätigen",
            after: vec![
                format!("Der Link ist {ttl} gültig."),
                "Wenn Sie das nicht waren, öffnen Sie denselben Link und wählen Sie dort »Das war \
                 ich nicht«. Damit wird das Konto entfernt."
                    .to_owned(),
            ],
        },
    }
}
