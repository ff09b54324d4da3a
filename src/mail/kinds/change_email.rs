//! The mail to the new email address when a user changes the address, with a link that confirms the
//! change.

use latchkey_entity::email_change::EmailChangeState;

use super::{Link, MailKind, Wanted};
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
    wanted: Wanted::WhileChangeIs(&[EmailChangeState::Pending]),
    merges: false,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened, ttl) = (facts.service, facts.happened(), facts.link_ttl());
    match facts.locale {
        Locale::En => Message {
            subject: format!("Confirm your new address for {service}"),
            before: vec![
                format!(
                    "Someone wants to use this email address for an account at {service}. The \
                     request was made {happened}."
                ),
                "If that was you, confirm that this email address is yours:".to_owned(),
            ],
            action: "Confirm the new address",
            after: vec![
                format!("The link is valid for {ttl}."),
                "If that was not you, you do not have to do anything. Nothing changes if nobody \
                 uses the link."
                    .to_owned(),
            ],
        },
        Locale::De => Message {
            subject: format!("Bestätigen Sie Ihre neue Adresse für {service}"),
            before: vec![
                format!(
                    "Jemand möchte diese E-Mail-Adresse für ein Konto bei {service} verwenden. Die \
                     Anfrage kam {happened}."
                ),
                "Wenn Sie das waren, bestätigen Sie, dass diese E-Mail-Adresse Ihnen gehört:"
                    .to_owned(),
            ],
            action: "Neue Adresse bestätigen",
            after: vec![
                format!("Der Link ist {ttl} gültig."),
                "Wenn Sie das nicht waren, müssen Sie nichts tun. Solange niemand den Link \
                 benutzt, ändert sich nichts."
                    .to_owned(),
            ],
        },
    }
}
