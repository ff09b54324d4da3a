//! Texts for users in the languages of the pages: times, waiting times, roles and refusals. Also
//! masked email addresses, and HTML from simple Markdown.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::clock::UnixMillis;
use crate::http::request::Request;
use crate::mail::Locale;
use crate::problem::Code;
use crate::team::Role;

/// The language that the browser prefers.
pub fn locale(request: &Request) -> Locale {
    request.accept_language().parse().unwrap_or_default()
}

/// The words in the language of the page.
pub const fn say<'a>(locale: Locale, english: &'a str, german: &'a str) -> &'a str {
    match locale {
        Locale::En => english,
        Locale::De => german,
    }
}

/// A point in time in the language of the page, for example `23. November 2026 um 21:25 Uhr (UTC)`.
pub fn moment_in(locale: Locale, at: UnixMillis) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000);
    match (locale, time) {
        (Locale::En, _) | (_, Err(_)) => moment(at),
        (Locale::De, Ok(time)) => {
            let (day, month, year) = (time.day(), locale.month(time.month()), time.year());
            format!("{day}. {month} {year} um {:02}:{:02} Uhr (UTC)", time.hour(), time.minute())
        }
    }
}

/// A point in time in words, for example `23 November 2026 at 21:25 UTC`. The text is empty if the
/// calendar of the library does not contain this time.
pub fn moment(at: UnixMillis) -> String {
    let format = time::macros::format_description!(
        "[day padding:none] [month repr:long] [year] at [hour]:[minute] UTC"
    );
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&format).ok())
        .unwrap_or_default()
}

/// The time to wait in words, for example `30 seconds`, `2 minutes` or `1 hour`. It is rounded up,
/// so it is never shorter than required.
pub fn wait(seconds: u32) -> String {
    let (count, unit) = match seconds.max(1) {
        seconds @ 0..=90 => (seconds, "second"),
        seconds @ 91..=5_400 => (seconds.div_ceil(60), "minute"),
        seconds => (seconds.div_ceil(3_600), "hour"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// The time to wait in the language of the page.
pub fn wait_in(locale: Locale, seconds: u32) -> String {
    let english = wait(seconds);
    match (locale, english.split_once(' ')) {
        (Locale::De, Some((count, unit))) => {
            let (one, many) = match unit.trim_end_matches('s') {
                "second" => ("Sekunde", "Sekunden"),
                "minute" => ("Minute", "Minuten"),
                _ => ("Stunde", "Stunden"),
            };
            format!("{count} {}", if count == "1" { one } else { many })
        }
        _ => english,
    }
}

/// The name of a role in the language of the page.
pub fn role(locale: Locale, name: &str) -> &str {
    match (locale, Role::from_name(name)) {
        (Locale::De, Some(Role::Viewer)) => "Betrachter",
        (Locale::De, Some(Role::Member)) => "Mitglied",
        (Locale::De, Some(Role::Admin)) => "Administrator",
        (Locale::De, Some(Role::Owner)) => "Eigentümer",
        _ => name,
    }
}

/// Why a user cannot join a team, in the language of the page. `why` is the reason in English, as
/// the API gives it.
pub fn refusal(locale: Locale, why: &str) -> Cow<'_, str> {
    let german = match why {
        _ if locale == Locale::En => why,
        "The inviter may no longer invite you. Ask for a new invitation." => {
            "Die Person, die Sie eingeladen hat, darf das nicht mehr. Bitten Sie um eine neue Einladung."
        }
        "You are already a member of the team." => "Sie sind schon Mitglied des Teams.",
        "The team already has the maximum number of members." => {
            "Das Team hat schon so viele Mitglieder, wie es haben darf."
        }
        _ if why.starts_with("The operator has disabled this team.") => {
            "Der Betreiber hat dieses Team gesperrt."
        }
        _ => {
            let teams = why.strip_prefix("You are already in ");
            let teams = teams.and_then(|it| it.strip_suffix(" teams, which is the maximum."));
            let told = |teams| format!("Sie sind schon in {teams} Teams. Mehr sind nicht erlaubt.");
            return teams.map_or(Cow::Borrowed(why), |teams| Cow::Owned(told(teams)));
        }
    };
    Cow::Borrowed(german)
}

/// Masks an email address so that its owner recognizes it but others cannot use it, for example
/// `a•••@example.com`.
pub fn masked(email: &str) -> String {
    match email.split_once('@') {
        Some((local, domain)) => {
            format!("{}•••@{domain}", local.chars().next().map_or(String::new(), String::from))
        }
        None => "•••".to_owned(),
    }
}

/// Renders text as HTML. A blank line separates paragraphs, lines that begin with `- ` or `* `
/// become a list, and text in backticks becomes code.
///
/// All text is escaped. If the text in backticks is the name of a problem, it becomes a link to the
/// page of the problem.
pub fn prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for block in text.replace("\r\n", "\n").split("\n\n") {
        block_of_prose(block, &mut out);
    }
    out
}

fn block_of_prose(block: &str, out: &mut String) {
    let mut paragraph = String::new();
    let mut items: Vec<String> = Vec::new();
    for line in block.lines() {
        let line = line.trim();
        if let Some(item) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
            items.push(item.to_owned());
        } else if let Some(item) = items.last_mut() {
            item.push(' ');
            item.push_str(line);
        } else {
            paragraph.push_str(if paragraph.is_empty() { "" } else { " " });
            paragraph.push_str(line.trim_start_matches('#').trim_start());
        }
    }
    if !paragraph.is_empty() {
        let _ = write!(out, "<p>{}</p>", inline(&paragraph));
    }
    if !items.is_empty() {
        out.push_str("<ul>");
        for item in items {
            let _ = write!(out, "<li>{}</li>", inline(&item));
        }
        out.push_str("</ul>");
    }
}

/// Renders text between backticks as code. A backtick without a partner stays as it is.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, beyond)) = after.split_once('`') else { break };
        out.push_str(&escaped(before));
        match Code::from_name(code) {
            Some(problem) => {
                let name = problem.name();
                let _ = write!(out, "<a href=\"/problems/{name}\"><code>{name}</code></a>");
            }
            None => {
                let _ = write!(out, "<code>{}</code>", escaped(code));
            }
        }
        rest = beyond;
    }
    out.push_str(&escaped(rest));
    out
}

/// Escapes text for an element or for the value of an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_told_too_short() {
        assert_eq!(wait(0), "1 second");
        assert_eq!(wait(90), "90 seconds");
        assert_eq!(wait(121), "3 minutes");
        assert_eq!(wait(3_601), "61 minutes");
        assert_eq!(wait(7_201), "3 hours");
    }

    #[test]
    fn a_masked_address_keeps_one_letter_and_the_domain() {
        assert_eq!(masked("ada@example.com"), "a•••@example.com");
        assert_eq!(masked("@example.com"), "•••@example.com");
        assert_eq!(masked("nothing"), "•••");
    }

    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(moment(0), "1 January 1970 at 00:00 UTC");
        assert_eq!(moment(UnixMillis::MAX), "");
    }

    #[test]
    fn times_are_told_in_german_too() {
        assert_eq!(moment_in(Locale::De, 0), "1. Januar 1970 um 00:00 Uhr (UTC)");
        assert_eq!(moment_in(Locale::En, 0), moment(0));
        for (seconds, german) in [(1, "1 Sekunde"), (45, "45 Sekunden"), (120, "2 Minuten")] {
            assert_eq!(wait_in(Locale::De, seconds), german);
        }
        assert_eq!(wait_in(Locale::De, 7_201), "3 Stunden");
        assert_eq!(wait_in(Locale::En, 30), "30 seconds");
    }

    #[test]
    fn every_reason_against_an_acceptance_has_a_german_text() {
        let source = include_str!("../../team/joining.rs");
        let reasons = source.split("conflict(\"").skip(1).filter_map(|it| it.split('"').next());
        let reasons: Vec<&str> = reasons.collect();
        assert!(reasons.len() >= 3, "{reasons:?}");
        let full = "You are already in 100 teams, which is the maximum.";
        for why in reasons.into_iter().chain([full, "The operator has disabled this team. More."]) {
            assert_ne!(refusal(Locale::De, why), why, "no German text");
            assert_eq!(refusal(Locale::En, why), why);
        }
        assert_eq!(
            refusal(Locale::De, full),
            "Sie sind schon in 100 Teams. Mehr sind nicht erlaubt."
        );
    }

    #[test]
    fn prose_makes_paragraphs_lists_and_code_and_escapes_the_rest() {
        assert_eq!(
            prose("One `a<b`\ntwo.\n\n- x & y\n- z\n  more\n\n<script>`lonely"),
            "<p>One <code>a&lt;b</code> two.</p><ul><li>x &amp; y</li><li>z more</li></ul>\
             <p>&lt;script&gt;`lonely</p>"
        );
    }

    #[test]
    fn prose_links_the_name_of_a_problem() {
        assert!(prose("Answers `email-taken`.").contains("<a href=\"/problems/email-taken\">"));
    }
}
