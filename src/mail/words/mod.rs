//! What mails say: all words of one language in one file. Words are plain text; the templates escape them.

mod de;
mod en;

use std::time::Duration;

use time::OffsetDateTime;

use crate::mail::{Kind, Locale};
use latchkey_entity::Role;

/// What the words of a mail may tell. Nothing in here is text that a stranger chose and the reader did not prove, but for
/// a team's name, which can hold no link.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    /// What the daemon serves: the sender's name, or the host of `public_url`.
    pub service: &'a str,
    /// What a verified person is called.
    pub name: Option<&'a str>,
    /// When it happened.
    pub at: OffsetDateTime,
    /// The IP address it happened from.
    pub ip: Option<String>,
    /// The kind of device, from a list of ours.
    pub device: Option<String>,
    /// The address after a change.
    pub new_email: &'a str,
    /// Who invites: a proven address.
    pub inviter: &'a str,
    /// What the inviting team is called, where that cannot become a link.
    pub team: Option<String>,
    /// As what somebody is invited.
    pub role: Role,
    /// How long the link lives.
    pub lives: Duration,
    /// How many events a notice stands for.
    pub times: u32,
}

/// The words of one mail, each a paragraph.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// The subject, and the heading.
    pub subject: String,
    /// How it begins.
    pub greeting: String,
    /// Before the link.
    pub before: Vec<String>,
    /// What the link does; on its button.
    pub action: &'static str,
    /// After the link.
    pub after: Vec<String>,
    /// Above the link spelled out.
    pub spelled: &'static str,
    /// Why this mail came.
    pub footer: String,
}

/// Subject, what stands before the link, its words, and what stands after it.
type Parts = (String, Vec<String>, &'static str, Vec<String>);

/// The words of a mail in a language.
pub(super) fn words(locale: Locale, kind: Kind, facts: &Facts<'_>) -> Words {
    match locale {
        Locale::En => en::words(kind, facts),
        Locale::De => de::words(kind, facts),
    }
}

/// A duration in its greatest whole unit, with the unit's names for one and for many.
fn span(lives: Duration, units: [(&str, &str); 3]) -> String {
    let minutes = lives.as_secs().div_ceil(60);
    let (count, (one, many)) = match minutes {
        // 24 hours are "24 hours": nobody reads "1 day" as the moment it ends.
        it if it % 1440 == 0 && it > 1440 => (it / 1440, units[0]),
        it if it % 60 == 0 => (it / 60, units[1]),
        it => (it, units[2]),
    };
    format!("{count} {}", if count == 1 { one } else { many })
}
