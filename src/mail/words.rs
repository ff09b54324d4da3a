//! The words around the text of every mail, and the facts that a text may contain. Words are plain
//! text. The templates escape them.

use std::time::Duration;

use latchkey_entity::Role;
use time::OffsetDateTime;

use crate::mail::{Kind, Locale};

/// The facts that the text of a mail may contain. No fact is unproven text of a client, except the
/// name of a team, which cannot become a link.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub locale: Locale,
    /// The sender's name, or the host of `public_url`.
    pub service: &'a str,
    /// The name of the user, if the user has proven the email address.
    pub name: Option<&'a str>,
    /// The time of the event.
    pub at: OffsetDateTime,
    /// The IP address of the client.
    pub ip: Option<String>,
    /// The kind of device, from a fixed list.
    pub device: Option<String>,
    /// The email address after a change.
    pub new_email: &'a str,
    /// The proven email address of the user who invites.
    pub inviter: &'a str,
    /// The name of the inviting team. `None` if a mail program could take the name for a link.
    pub team: Option<String>,
    /// The role that the invitation gives.
    pub role: Role,
    /// How many recovery codes the user can still use.
    pub codes_left: u32,
    /// How long the link is valid.
    pub link_ttl: Duration,
    /// How many events a notice stands for.
    pub times: u32,
}

/// The text of one mail. Each item of a list is a paragraph. English texts are ASCII, so that the
/// text part is sent without an encoding.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The subject, and the heading.
    pub subject: String,
    /// The paragraphs before the link.
    pub before: Vec<String>,
    /// The text of the link's button.
    pub action: &'static str,
    /// The paragraphs after the link.
    pub after: Vec<String>,
}

/// A whole mail, for the templates.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub greeting: String,
    pub message: Message,
    /// The line above the link in full.
    pub link_in_full: &'static str,
    pub footer: String,
}

/// The words of a mail in the language of `facts`.
pub(super) fn words(kind: Kind, facts: &Facts<'_>) -> Words {
    let mut message = (kind.declared().text)(facts);
    let service = facts.service;
    if facts.times >= 2 {
        message.before.insert(1, merged(facts.locale, facts.times));
    }
    match facts.locale {
        Locale::En => Words {
            greeting: facts.name.map_or("Hello,".to_owned(), |name| format!("Hello {name},")),
            message,
            link_in_full: "If the button does not work, open this address:",
            footer: format!("{service} sent this mail automatically. Replies are not read."),
        },
        Locale::De => Words {
            greeting: facts.name.map_or("Guten Tag,".to_owned(), |it| format!("Guten Tag {it},")),
            message,
            link_in_full: "Falls der Knopf nicht funktioniert, öffnen Sie diese Adresse:",
            footer: format!(
                "{service} hat diese Mail automatisch verschickt. Antworten werden nicht gelesen."
            ),
        },
    }
}

/// The paragraph of a notice that stands for several events.
fn merged(locale: Locale, times: u32) -> String {
    match locale {
        Locale::En => format!(
            "It happened {times} times within an hour. The time above is the time of the last \
             event."
        ),
        Locale::De => format!(
            "Das geschah {times}-mal innerhalb einer Stunde. Die Angaben oben gelten für das \
             letzte Mal."
        ),
    }
}

impl Facts<'_> {
    /// When and where it happened: "on 23 November 2026 at 21:03 UTC, from the IP address
    /// 203.0.113.7 (Firefox, Linux)".
    pub(super) fn happened(&self) -> String {
        let at = self.at;
        let month = self.locale.month(at.month());
        let (day, year, hour, minute) = (at.day(), at.year(), at.hour(), at.minute());
        let device = self.device.as_ref().map(|device| format!(" ({device})")).unwrap_or_default();
        let from = |words: &str| self.ip.as_ref().map(|ip| format!("{words} {ip}"));
        match self.locale {
            Locale::En => {
                let ip = from(", from the IP address").unwrap_or_default();
                format!("on {day} {month} {year} at {hour:02}:{minute:02} UTC{ip}{device}")
            }
            Locale::De => {
                let ip = from(" von der IP-Adresse").unwrap_or_default();
                format!("am {day}. {month} {year} um {hour:02}:{minute:02} Uhr (UTC){ip}{device}")
            }
        }
    }

    /// How long the link is valid, in its greatest whole unit.
    pub(super) fn link_ttl(&self) -> String {
        let units = match self.locale {
            Locale::En => [("day", "days"), ("hour", "hours"), ("minute", "minutes")],
            Locale::De => [("Tag", "Tage"), ("Stunde", "Stunden"), ("Minute", "Minuten")],
        };
        let minutes = self.link_ttl.as_secs().div_ceil(60);
        let (count, (one, many)) = match minutes {
            // 24 hours are not shown as "1 day", because a reader would not expect that the link
            // ends at the same time on the next day.
            it if it % 1440 == 0 && it > 1440 => (it / 1440, units[0]),
            it if it % 60 == 0 => (it / 60, units[1]),
            it => (it, units[2]),
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }
}
