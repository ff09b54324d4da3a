//! German.

use super::{Facts, Parts, Words, span};
use crate::mail::Kind;
use latchkey_entity::Role;

const MONTHS: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];

pub(super) fn words(kind: Kind, facts: &Facts<'_>) -> Words {
    let service = facts.service;
    let (subject, mut before, action, after) = message(kind, facts);
    if let times @ 2.. = facts.times {
        before.insert(1, format!("Das geschah {times}-mal innerhalb einer Stunde. Die Angaben oben gelten für das letzte Mal."));
    }
    Words {
        subject,
        greeting: facts.name.map_or("Guten Tag,".to_owned(), |name| format!("Guten Tag {name},")),
        before,
        action,
        after,
        spelled: "Falls der Knopf nicht geht, öffnen Sie diese Adresse:",
        footer: format!(
            "{service} hat diese Mail von selbst verschickt; Antworten werden nicht gelesen."
        ),
    }
}

/// Subject, what stands before the link, the link's button, what stands after it.
fn message(kind: Kind, facts: &Facts<'_>) -> Parts {
    let (service, happened) = (facts.service, happened(facts));
    let lives = span(facts.lives, [("Tag", "Tage"), ("Stunde", "Stunden"), ("Minute", "Minuten")]);
    match kind {
        Kind::Confirm => (
            format!("Bestätigen Sie Ihre Adresse für {service}"),
            vec![
                format!("Mit dieser Adresse wurde {happened} ein Konto bei {service} angelegt."),
                "Wenn Sie das waren, bestätigen Sie, dass die Adresse Ihnen gehört:".to_owned(),
            ],
            "Adresse bestätigen",
            vec![
                format!("Gültigkeit des Links: {lives}."),
                "Das waren nicht Sie? Öffnen Sie denselben Link: Die Seite bietet auch »Das war ich nicht« an und \
                 entfernt damit das Konto."
                    .to_owned(),
            ],
        ),
        Kind::Recover => (
            format!("Neues Passwort für {service} festlegen"),
            vec![
                format!("Für Ihr Konto bei {service} wurde {happened} ein neues Passwort angefordert."),
                "Wenn Sie das waren, legen Sie es hier fest:".to_owned(),
            ],
            "Neues Passwort festlegen",
            vec![
                format!("Der Link gilt ein einziges Mal. Gültigkeit: {lives}."),
                "Das waren nicht Sie? Dann müssen Sie nichts tun: Ihr Passwort bleibt, wie es ist."
                    .to_owned(),
            ],
        ),
        Kind::PasswordChanged => (
            format!("Ihr Passwort für {service} wurde geändert"),
            vec![
                format!("Das Passwort Ihres Kontos bei {service} wurde {happened} geändert."),
                "Alle anderen Geräte wurden abgemeldet.".to_owned(),
                "Das waren nicht Sie? Fordern Sie sofort ein neues Passwort an, mit »Passwort vergessen« bei der \
                 Anmeldung."
                    .to_owned(),
            ],
            "",
            vec![],
        ),
        Kind::SessionReused => (
            format!("Eine Sitzung bei {service} wurde zur Sicherheit beendet"),
            vec![
                format!("Ein bereits ersetztes Token Ihres Kontos bei {service} wurde {happened} noch einmal benutzt."),
                "Jemand hat es vielleicht kopiert. Wir haben die Sitzung beendet; wer sie benutzt hat, muss sich neu \
                 anmelden."
                    .to_owned(),
                "Wenn Ihnen Gerät oder Ort unbekannt sind, ändern Sie Ihr Passwort.".to_owned(),
            ],
            "",
            vec![],
        ),
        Kind::NewDevice => (
            format!("Neue Anmeldung an Ihrem Konto bei {service}"),
            vec![
                format!("Jemand hat sich {happened} an Ihrem Konto bei {service} angemeldet."),
                "Das Passwort war richtig; Gerät, Browser oder App waren neu für Ihr Konto. Auch ein privates Fenster \
                 oder ein Browser, dessen Daten gelöscht wurden, gilt als neu."
                    .to_owned(),
                "Wenn Sie das waren, müssen Sie nichts tun. Das waren nicht Sie? Dann kennt jemand Ihr Passwort. Wählen \
                 Sie ein neues; das meldet alle Geräte ab:"
                    .to_owned(),
            ],
            "Neues Passwort festlegen",
            vec![
                "Wo Sie angemeldet sind, können Sie Ihre Sitzungen auch ansehen und beenden."
                    .to_owned(),
            ],
        ),
        Kind::ChangeEmail => (
            format!("Bestätigen Sie Ihre neue Adresse für {service}"),
            vec![
                format!("Diese Adresse wurde {happened} als die neue eines Kontos bei {service} angegeben."),
                "Wenn Sie das waren, bestätigen Sie, dass die Adresse Ihnen gehört:".to_owned(),
            ],
            "Neue Adresse bestätigen",
            vec![
                format!("Gültigkeit des Links: {lives}."),
                "Das waren nicht Sie? Dann müssen Sie nichts tun: Ohne den Link ändert sich nichts."
                    .to_owned(),
            ],
        ),
        Kind::EmailChangeNotice => (
            format!("Ihre Adresse für {service} wird geändert"),
            vec![
                format!("Für Ihr Konto bei {service} wurde {happened} eine Änderung der Adresse angefordert."),
                format!("Die neue Adresse ist {}.", facts.new_email),
                "Wenn Sie das waren, müssen Sie nichts tun. Das waren nicht Sie? Nehmen Sie die Änderung zurück:"
                    .to_owned(),
            ],
            "Diese Adresse behalten",
            vec![
                format!("Gültigkeit des Links: {lives}."),
                "Ändern Sie danach Ihr Passwort: Wer das angefordert hat, kennt es.".to_owned(),
            ],
        ),
        Kind::Invitation => invitation(facts, &lives),
    }
}

fn invitation(facts: &Facts<'_>, lives: &str) -> Parts {
    let service = facts.service;
    (
        format!("Einladung in ein Team bei {service}"),
        vec![
            match &facts.team {
                Some(team) => {
                    format!("{} lädt Sie in das Team »{team}« bei {service} ein.", facts.inviter)
                }
                None => format!("{} lädt Sie in ein Team bei {service} ein.", facts.inviter),
            },
            format!("Ihre Rolle wäre: {}.", role(facts.role)),
            "Sehen Sie sich die Einladung an und entscheiden Sie:".to_owned(),
        ],
        "Einladung ansehen",
        vec![
            format!("Annehmen kann sie nur das Konto mit dieser Adresse. Gültigkeit: {lives}."),
            "Sie kennen den Absender nicht? Dann müssen Sie nichts tun: Ohne Sie geschieht nichts."
                .to_owned(),
        ],
    )
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Betrachter",
        Role::Member => "Mitglied",
        Role::Admin => "Administrator",
        Role::Owner => "Eigentümer",
    }
}

/// "am 23. November 2026 um 21:03 Uhr (UTC) von der IP-Adresse 203.0.113.7 (Firefox, Linux)"
fn happened(facts: &Facts<'_>) -> String {
    let at = facts.at;
    let month = MONTHS[usize::from(u8::from(at.month()) - 1)];
    let (day, year, hour, minute) = (at.day(), at.year(), at.hour(), at.minute());
    let ip = facts.ip.as_ref().map(|ip| format!(" von der IP-Adresse {ip}")).unwrap_or_default();
    let device = facts.device.as_ref().map(|device| format!(" ({device})")).unwrap_or_default();
    format!("am {day}. {month} {year} um {hour:02}:{minute:02} Uhr (UTC){ip}{device}")
}
