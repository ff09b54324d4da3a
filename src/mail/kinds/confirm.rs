//! The mail to the address of a new account, with a link that confirms the address.

use super::{Link, MailKind};
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
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened, ttl) = (facts.service, facts.happened(), facts.link_ttl());
    match facts.locale {
        Locale::En => Message {
            subject: format!("Confirm your address for {service}"),
            before: vec![
                format!("An account at {service} was created with this address {happened}."),
                "If that was you, confirm that the address is yours:".to_owned(),
            ],
            action: "Confirm the address",
            after: vec![
                format!("The link works for {ttl}."),
                "This was not you? Open the same link. Its page also offers \"This was not me\", which removes the \
                 account."
                    .to_owned(),
            ],
        },
        Locale::De => Message {
            subject: format!("Bestätigen Sie Ihre Adresse für {service}"),
            before: vec![
                format!("Mit dieser Adresse wurde {happened} ein Konto bei {service} angelegt."),
                "Wenn Sie das waren, bestätigen Sie, dass die Adresse Ihnen gehört:".to_owned(),
            ],
            action: "Adresse bestätigen",
            after: vec![
                format!("Gültigkeit des Links: {ttl}."),
                "Das waren nicht Sie? Öffnen Sie denselben Link. Die Seite bietet auch »Das war ich nicht« an und \
                 entfernt damit das Konto."
                    .to_owned(),
            ],
        },
    }
}
