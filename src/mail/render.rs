//! Renders the subject, text and HTML of a mail from its words.
//!
//! The template escapes the HTML. A mail loads nothing from the network and does not track its
//! reader.

use std::net::IpAddr;
use std::time::Duration;

use askama::Template;
use time::OffsetDateTime;

use crate::mail::words::{Facts, Words, words};
use crate::mail::{Kind, MailData};
use crate::secret::Secret;
use latchkey_entity::Role;

/// The maximum length of a user's text that a mail repeats, in characters.
const REPEATED_MAX: usize = 100;

#[derive(Clone, Debug)]
pub(super) struct Rendered {
    /// The subject, on one line.
    pub subject: String,
    /// The part `text/plain`. The whole link is on a line of its own.
    pub text: String,
    /// The part `text/html`.
    pub html: String,
}

/// The input of [`render`].
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    pub kind: Kind,
    /// The data in its row.
    pub data: &'a MailData,
    /// Whether the reader has proven the email address. If not, the mail does not contain the
    /// reader's name.
    pub reader: Reader,
    /// The sender's name, or the host of `public_url`.
    pub service: &'a str,
    /// The whole link. Every [`Kind`] with a token has one.
    pub link: Option<&'a Secret<String>>,
    /// How long the link is valid.
    pub link_ttl: Duration,
}

/// What is known about the reader of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The reader has proven the address.
    Verified,
    /// The reader has not proven the address.
    Unproven,
}

/// Why a mail cannot be rendered: what its row lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unrenderable(pub &'static str);

#[derive(Template)]
#[template(path = "mail.txt")]
struct Text<'a> {
    words: &'a Words,
    link: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    lang: &'static str,
    words: &'a Words,
    link: Option<&'a str>,
}

pub(super) fn render(draft: &Draft<'_>) -> Result<Rendered, Unrenderable> {
    let data = draft.data;
    let at = OffsetDateTime::from_unix_timestamp(data.at.div_euclid(1000))
        .map_err(|_| Unrenderable("a time that does not exist"))?;
    let new_email = match (draft.kind, &data.new_email) {
        (Kind::EmailChangeNotice, None) => return Err(Unrenderable("no new address")),
        (_, new_email) => new_email.as_deref().map(one_line).unwrap_or_default(),
    };
    let is_invitation = draft.kind == Kind::Invitation;
    if is_invitation && (data.inviter.is_none() || data.team.is_none()) {
        return Err(Unrenderable("no inviter or no team"));
    }
    let role = data.role.as_deref().and_then(Role::from_name);
    let role = match (is_invitation, role) {
        (true, None) => return Err(Unrenderable("no role")),
        (_, role) => role.unwrap_or(Role::Viewer),
    };
    let inviter = data.inviter.as_deref().map(one_line).unwrap_or_default();
    let proven = draft.reader == Reader::Verified && !draft.kind.declared().asks_for_proof;
    let name = data.name.as_deref().map(one_line).filter(|name| proven && !name.is_empty());
    let facts = Facts {
        locale: data.locale,
        service: draft.service,
        name: name.as_deref(),
        at,
        ip: data.ip.parse::<IpAddr>().ok().map(|ip| ip.to_canonical().to_string()),
        device: device(&data.user_agent),
        new_email: &new_email,
        inviter: &inviter,
        team: data.team.as_deref().map(one_line).filter(|team| is_no_link(team)),
        role,
        codes_left: data.codes_left.unwrap_or_default(),
        link_ttl: draft.link_ttl,
        times: data.times,
    };
    let words = words(draft.kind, &facts);
    let link = draft.link.map(|link| link.expose().as_str());
    let failed = |_| Unrenderable("the template failed");
    Ok(Rendered {
        text: Text { words: &words, link }.render().map_err(failed)?,
        html: Html { lang: data.locale.tag(), words: &words, link }.render().map_err(failed)?,
        subject: words.message.subject,
    })
}

/// The text on one line, cut to a fixed length. Some mail programs also break lines at U+2028 and
/// U+2029, which are no control characters.
fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line: String =
        text.chars().map(|c| if breaks(c) { ' ' } else { c }).take(REPEATED_MAX).collect();
    line.trim().to_owned()
}

/// Whether no mail program would turn any part of a name into a link or an address: it has no dot
/// within a word, no slash, backslash, colon or at sign.
fn is_no_link(name: &str) -> bool {
    let dot = |c: char| matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{2024}');
    let within_a_word = |pair: &[char]| dot(pair[0]) && !pair[1].is_whitespace();
    let letters: Vec<char> = name.chars().collect();
    !name.is_empty()
        && !letters.windows(2).any(within_a_word)
        && !name.contains(['/', ':', '@', '\\'])
}

/// The browser and the system that a `User-Agent` names, in latchkey's own words. The client chose
/// the text of the `User-Agent`, and it could contain a link.
fn device(user_agent: &str) -> Option<String> {
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("CrOS", "ChromeOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let known = |list: &[(&str, &'static str)]| {
        list.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (known(&BROWSERS), known(&SYSTEMS)) {
        (Some(browser), Some(system)) => Some(format!("{browser}, {system}")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => None,
    }
}
