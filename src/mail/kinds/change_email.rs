//! The mail to the new address of a change of address, with a link that confirms the change.

use super::{Link, MailKind};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};
use crate::store::TokenKind;

pub(super) const MAIL: MailKind = MailKind {
    name: "change-email",
    link: Link::StoredToken {
        page: "verify-email",
        token: TokenKind::ChangeEmail,
        ttl: |ttls| ttls.verification,
    },
    asks_for_proof: true,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened, ttl) = (facts.service, facts.happened(), facts.link_ttl());
    match facts.locale {
        Locale::En => Message {
            subject: format!("Confirm your new address for {service}"),
            before: vec![
                format!("This address was given as the new one of an account at {service} {happened}."),
                "If that was you, confirm that the address is yours:".to_owned(),
            ],
            action: "Confirm the new address",
            after: vec![
                format!("The link works for {ttl}."),
                "This was not you? Then you do not have to do anything. Nothing changes without the link."
                    .to_owned(),
            ],
        },
        Locale::De => Message {
            subject: format!("Bestätigen Sie Ihre neue Adresse für {service}"),
            before: vec![
                format!("Diese Adresse wurde {happened} als die neue eines Kontos bei {service} angegeben."),
                "Wenn Sie das waren, bestätigen Sie, dass die Adresse Ihnen gehört:".to_owned(),
            ],
            action: "Neue Adresse bestätigen",
            after: vec![
                format!("Gültigkeit des Links: {ttl}."),
                "Das waren nicht Sie? Dann müssen Sie nichts tun. Ohne den Link ändert sich nichts."
                    .to_owned(),
            ],
        },
    }
}
