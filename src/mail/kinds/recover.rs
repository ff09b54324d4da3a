//! The mail with a link that sets a new password.

use super::{Link, MailKind, Wanted};
use crate::mail::Locale;
use crate::mail::words::{Facts, Message};
use crate::store::TokenKind;

pub(super) const MAIL: MailKind = MailKind {
    name: "recover",
    link: Link::StoredToken {
        page: "reset-password",
        token: TokenKind::Recover,
        ttl: |ttls| ttls.recovery,
    },
    asks_for_proof: false,
    wanted: Wanted::WhilePasswordIsUnchanged,
    merges: false,
    text,
};

fn text(facts: &Facts<'_>) -> Message {
    let (service, happened, ttl) = (facts.service, facts.happened(), facts.link_ttl());
    match facts.locale {
        Locale::En => Message {
            subject: format!("Set a new password for {service}"),
            before: vec![
                format!("A new password for your account at {service} was requested {happened}."),
                "If that was you, choose a new password here:".to_owned(),
            ],
            action: "Choose a new password",
            after: vec![
                format!("The link works only once. It is valid for {ttl}."),
                "If that was not you, you do not have to do anything. Your password stays as it is."
                    .to_owned(),
            ],
        },
        Locale::De => Message {
            subject: format!("Neues Passwort für {service} festlegen"),
            before: vec![
                format!(
                    "Für Ihr Konto bei {service} wurde {happened} ein neues Passwort angefordert."
                ),
                "Wenn Sie das waren, legen Sie hier ein neues Passwort fest:".to_owned(),
            ],
            action: "Neues Passwort festlegen",
            after: vec![
                format!("Der Link funktioniert nur einmal. Er ist {ttl} gültig."),
                "Wenn Sie das nicht waren, müssen Sie nichts tun. Ihr Passwort bleibt, wie es ist."
                    .to_owned(),
            ],
        },
    }
}
