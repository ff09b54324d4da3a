//! Tests of the exact text of the mails.

use std::time::Duration;

use super::{HOUR, data};
use crate::mail::render::{Draft, Reader, Rendered, Unrenderable, render};
use crate::mail::{Kind, LinkTtls, Locale, MailData};
use crate::secret::Secret;

fn link(kind: Kind) -> Option<String> {
    let token = if kind.has_token() { "?token=T0K3N" } else { "" };
    kind.page().map(|page| format!("https://auth.example.com/{page}{token}"))
}

fn rendered(kind: Kind, data: &MailData, reader: Reader) -> Result<Rendered, Unrenderable> {
    let link = link(kind).map(Secret::new);
    let ttls = LinkTtls { verification: 24 * HOUR, recovery: HOUR / 2 };
    let link_ttl = kind.link_ttl(&ttls);
    render(&Draft { kind, data, reader, service: "Example", link: link.as_ref(), link_ttl })
}

#[test]
fn every_mail_in_every_language() {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        for locale in Locale::ALL {
            for kind in Kind::ALL.iter().copied() {
                let data = MailData {
                    locale,
                    name: Some("Ada <b>".to_owned()),
                    new_email: Some("new&improved@example.com".to_owned()),
                    ..data()
                };
                let mail = rendered(kind, &data, Reader::Verified).unwrap();
                let all = format!("{}\n\n{}\n\n{}", mail.subject, mail.text, mail.html);
                insta::assert_snapshot!(format!("{}-{}", locale.tag(), kind.name()), all);
            }
        }
    });
}

#[test]
fn the_plain_text_carries_the_whole_link_on_a_line_of_its_own() {
    for locale in Locale::ALL {
        for kind in Kind::ALL.iter().copied() {
            let data = MailData { locale, new_email: Some("new@example.com".to_owned()), ..data() };
            let text = rendered(kind, &data, Reader::Unproven).unwrap().text;
            let links: Vec<_> = text.lines().filter(|line| line.contains("://")).collect();
            assert_eq!(links, link(kind).iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}

#[test]
fn the_html_escapes_what_people_chose_and_loads_nothing() {
    let data = MailData {
        name: Some("<img src=https://evil.example/x>".to_owned()),
        new_email: Some("\"><script>@example.com".to_owned()),
        ..data()
    };
    let html = rendered(Kind::EmailChangeNotice, &data, Reader::Verified).unwrap().html;
    assert!(!html.contains("<img") && !html.contains("<script"));
    assert!(!html.contains("src=\"") && !html.contains("url("));
}

#[test]
fn a_name_that_a_mail_repeats_stays_on_one_line() {
    let breaks = ["\n", "\r\n", "\u{85}", "\u{b}", "\u{2028}", "\u{2029}"];
    for line_break in breaks {
        let team = format!("Acme{line_break}Your account is locked");
        let data = MailData { team: Some(team), ..data() };
        let mail = rendered(Kind::Invitation, &data, Reader::Unproven).unwrap();
        for text in [&mail.subject, &mail.text, &mail.html] {
            assert!(!text.contains(&format!("Acme{line_break}")), "{line_break:?}: {text}");
        }
        assert!(mail.text.contains("Acme"), "{line_break:?}: {}", mail.text);
    }
}

#[test]
fn a_user_agent_and_an_address_are_never_repeated_as_they_came() {
    let data = MailData {
        user_agent: "Call https://evil.example now".to_owned(),
        ip: "visit evil.example".to_owned(),
        ..data()
    };
    let text = rendered(Kind::SessionReused, &data, Reader::Verified).unwrap().text;
    assert!(!text.contains("evil"));
    assert!(text.contains("on 23 November 2026 at 21:03 UTC."));
}

#[test]
fn an_unproven_reader_is_not_called_by_name() {
    let data = MailData { name: Some("Ada".to_owned()), ..data() };
    for kind in [Kind::Confirm, Kind::Recover] {
        let text = rendered(kind, &data, Reader::Unproven).unwrap().text;
        assert!(text.starts_with("Hello,\n"), "{text}");
    }
    for kind in [Kind::Confirm, Kind::ChangeEmail] {
        let text = rendered(kind, &data, Reader::Verified).unwrap().text;
        assert!(text.starts_with("Hello,\n"), "{text}");
    }
}

#[test]
fn a_notice_without_the_new_address_cannot_be_rendered() {
    assert!(rendered(Kind::EmailChangeNotice, &data(), Reader::Verified).is_err());
    let data = MailData { at: i64::MAX, ..data() };
    assert!(rendered(Kind::Confirm, &data, Reader::Verified).is_err());
}

#[test]
fn english_text_is_ascii_so_that_it_goes_out_as_it_reads() {
    let data = MailData { new_email: Some("new@example.com".to_owned()), ..data() };
    for kind in Kind::ALL.iter().copied() {
        let mail = rendered(kind, &data, Reader::Verified).unwrap();
        assert!(mail.text.is_ascii() && mail.html.is_ascii());
        assert!(mail.text.lines().all(|line| line.len() < 998), "RFC 5322 §2.1.1");
    }
}

#[test]
fn lifetimes_are_told_in_their_greatest_whole_unit() {
    let text = |link_ttl: Duration| {
        let draft = Draft {
            kind: Kind::Recover,
            data: &data(),
            reader: Reader::Verified,
            service: "Example",
            link: None,
            link_ttl,
        };
        render(&draft).unwrap().text
    };
    for (link_ttl, written) in [
        (HOUR / 60, "valid for 1 minute."),
        (HOUR / 2, "valid for 30 minutes."),
        (HOUR, "valid for 1 hour."),
        (24 * HOUR, "valid for 24 hours."),
        (48 * HOUR, "valid for 2 days."),
    ] {
        assert!(text(link_ttl).contains(written), "{written}");
    }
}
