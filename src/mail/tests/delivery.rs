//! Tests of delivery: which mails are sent, which mails are not sent, and what the mails contain.

use std::time::Duration;

use latchkey_entity::{email_change, outbox, user};
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait;

use super::sink::Sink;
use super::{HELO, HOUR, NOW, World, data};
use crate::clock::millis;
use crate::mail::{Kind, LinkKind, Locale, MailData, Transport, depth, forget, mailed_token};
use crate::secret::{MasterKey, Secret, sha256};
use crate::store::TokenKind;
use crate::telemetry::labels::MailOutcome;

#[tokio::test]
async fn a_due_mail_is_sent_once_and_marked() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let id = world.confirmation("ada@example.com").await;
    let mailer = world.mailer(&sink.url());
    let swept = mailer.sweep().await.unwrap();
    assert_eq!(swept.count(MailOutcome::Sent), 1);
    assert_eq!(swept.next_due, None);
    assert!(mailer.sweep().await.unwrap().deliveries.is_empty());
    let row = world.row(id).await;
    assert_eq!((row.state.as_str(), row.attempts, row.sent_at), ("sent", 0, Some(NOW)));
    let mails = sink.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, "ada@example.com");
    assert_eq!(mails[0].header("Message-ID"), format!("<{id}@auth.example.com>"));
    assert_eq!(mails[0].header("Auto-Submitted"), "auto-generated");
    assert_eq!(mails[0].header("Date"), "Mon, 23 Nov 2026 21:03:11 +0000");
    assert_eq!(mails[0].header("From"), "Example <no-reply@example.com>");
}

#[tokio::test]
async fn the_token_follows_from_the_row_and_the_store_knows_its_digest() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let person = world.person("ada@example.com").await;
    let id = world.enqueue(person, Kind::Recover, "ada@example.com").await;
    world.mailer(&sink.url()).sweep().await.unwrap();
    let key = MasterKey::new([7; 32]).derive("mail-token");
    let token = mailed_token(&key, Kind::Recover, "ada@example.com", id);
    assert_eq!(token.expose().len(), 43);
    let link = format!("https://auth.example.com:8443/reset-password?token={}", token.expose());
    assert_eq!(sink.mails()[0].link(), link);
    let put = world.token_of(&link).await.unwrap();
    assert_eq!((put.kind, put.user_id, put.row_id), (TokenKind::Recover, person, id));
    assert_eq!(put.digest, sha256(token.expose().as_bytes()));
    assert_eq!((put.stamp, put.subject), (3, None));
    assert_eq!(put.expires_at, NOW + millis(HOUR / 2));
}

#[tokio::test]
async fn each_kind_has_its_page_and_its_token() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let person = world.person("ada@example.com").await;
    let change = world.change_of_address(person, "pending").await;
    world.first_factor(person, change).await;
    let about = MailData {
        change_id: Some(change),
        new_email: Some("new@example.com".to_owned()),
        ..data()
    };
    for kind in Kind::ALL.iter().copied() {
        world.enqueue_with(person, kind, "ada@example.com", about.clone()).await;
    }
    let german = MailData { locale: Locale::De, ..data() };
    world.enqueue_with(person, Kind::PasswordChanged, "ada@example.com", german).await;
    let swept = world.mailer(&sink.url()).sweep().await.unwrap();
    assert_eq!(swept.count(MailOutcome::Sent), 14);
    let page = |link: &str| link.split(['/', '?']).nth(3).unwrap_or_default().to_owned();
    let mut pages: Vec<_> = sink.mails().iter().map(|mail| page(mail.link())).collect();
    pages.sort();
    let (reset, verify) = ("reset-password", "verify-email");
    let (undo_change, undo_factor) = ("undo-email-change", "undo-factor");
    assert_eq!(pages[..8], [""; 8]);
    assert_eq!(pages[8..], [reset, reset, undo_change, undo_factor, verify, verify]);
    for mail in sink.mails().iter().filter(|mail| mail.link().contains("?token=")) {
        let page = page(mail.link());
        if page == "undo-email-change" {
            // Only the row of the change has the token, so the token stays valid if the token store
            // is lost.
            assert!(world.token_of(mail.link()).await.is_none());
            assert_eq!(world.undone_by(mail.link()).await, Some(change));
            continue;
        }
        if page == "undo-factor" {
            assert!(world.token_of(mail.link()).await.is_none());
            assert_eq!(world.factor_undone_by(mail.link()).await, Some(change));
            continue;
        }
        let token = world.token_of(mail.link()).await.unwrap();
        let (kind, subject) = (token.kind, token.subject);
        match kind {
            TokenKind::Verify | TokenKind::ChangeEmail => assert_eq!(page, "verify-email"),
            TokenKind::Recover => assert_eq!(page, "reset-password"),
        }
        if kind == TokenKind::ChangeEmail {
            assert_eq!(subject, Some(change));
        }
    }
}

#[tokio::test]
async fn a_newer_mail_takes_the_place_of_the_older_even_with_the_clock_set_back() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let person = world.person("ada@example.com").await;
    let older = world.enqueue(person, Kind::Confirm, "ada@example.com").await;
    let notice = world.enqueue(person, Kind::PasswordChanged, "ada@example.com").await;
    let tx = world.db.begin().await.unwrap();
    let mail = crate::mail::NewMail {
        user_id: person,
        kind: LinkKind::Confirm,
        recipient: "ada@example.com",
        data: data(),
        traceparent: "",
    };
    let newer = crate::mail::enqueue(&tx, mail, NOW - 60_000).await.unwrap();
    tx.commit().await.unwrap();
    assert!(newer > older);
    assert_eq!(world.state(older).await, "superseded");
    let swept = world.mailer(&sink.url()).sweep().await.unwrap();
    assert_eq!(swept.count(MailOutcome::Sent), 2);
    assert_eq!(world.state(newer).await, "sent");
    assert_eq!(world.state(notice).await, "sent");
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_not_sent() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let ada = world.person("ada@example.com").await;
    let mut unwanted = vec![
        world.enqueue(ada, Kind::Confirm, "ada@example.com").await,
        world.enqueue(ada, Kind::Recover, "ada@example.com").await,
    ];
    world.verify(ada).await;
    let (id, password_version) = (Set(ada), Set(4));
    world.change_person(user::ActiveModel { id, password_version, ..Default::default() }).await;
    for state in ["undone", "superseded"] {
        let change_id = Some(world.change_of_address(ada, state).await);
        let about = MailData { change_id, new_email: Some("n@example.com".to_owned()), ..data() };
        for kind in [Kind::ChangeEmail, Kind::EmailChangeNotice] {
            unwanted.push(world.enqueue_with(ada, kind, "n@example.com", about.clone()).await);
        }
    }
    // A completed change needs no confirmation, but it still needs the link that undoes it.
    let change_id = Some(world.change_of_address(ada, "done").await);
    let about = MailData { change_id, new_email: Some("n@example.com".to_owned()), ..data() };
    unwanted.push(world.enqueue_with(ada, Kind::ChangeEmail, "n@example.com", about.clone()).await);
    let undo = world.enqueue_with(ada, Kind::EmailChangeNotice, "o@example.com", about).await;
    // An invitation that was revoked, answered or sent again is not found by the token of this row.
    unwanted.push(world.enqueue(ada, Kind::Invitation, "guest@example.com").await);
    world.mailer(&sink.url()).sweep().await.unwrap();
    for id in unwanted {
        assert_eq!(world.state(id).await, "superseded");
    }
    assert_eq!(world.state(undo).await, "sent");
    assert_eq!(sink.mails().len(), 1);
}

#[tokio::test]
async fn two_mailers_racing_send_each_mail_once() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(world.confirmation(&format!("person{number}@example.com")).await);
    }
    let (one, two) = (world.mailer(&sink.url()), world.mailer(&sink.url()));
    let (first, second, third) = tokio::join!(one.sweep(), two.sweep(), one.sweep());
    let sent = |swept: Result<crate::mail::Swept, _>| swept.unwrap().count(MailOutcome::Sent);
    assert_eq!(sent(first) + sent(second) + sent(third), 20);
    let mut to: Vec<_> = sink.mails().into_iter().map(|mail| mail.to).collect();
    to.sort();
    to.dedup();
    assert_eq!((to.len(), sink.mails().len()), (20, 20));
    for id in ids {
        assert_eq!(world.state(id).await, "sent");
    }
}

#[tokio::test]
async fn one_connection_carries_many_mails() {
    let (world, sink) = (World::new().await, Sink::start().await);
    for number in 0..5 {
        world.confirmation(&format!("person{number}@example.com")).await;
    }
    world.mailer(&sink.url()).sweep().await.unwrap();
    assert_eq!((sink.heard("EHLO"), sink.mails().len()), (1, 5));
}

#[tokio::test]
async fn an_international_domain_goes_out_as_a_labels() {
    let (world, sink) = (World::new().await, Sink::start().await);
    world.confirmation("ada@bücher.example").await;
    world.mailer(&sink.url()).sweep().await.unwrap();
    assert_eq!(sink.mails()[0].to, "ada@xn--bcher-kva.example");
}

#[tokio::test]
async fn the_name_is_told_to_proven_addresses_only() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let person = world.person("ada@example.com").await;
    let named = MailData { name: Some("Win at evil.example".to_owned()), ..data() };
    let change_id = Some(world.change_of_address(person, "pending").await);
    let change = MailData { change_id, ..named.clone() };
    for kind in [Kind::Confirm, Kind::Recover, Kind::PasswordChanged] {
        world.enqueue_with(person, kind, "ada@example.com", named.clone()).await;
    }
    let mailer = world.mailer(&sink.url());
    mailer.sweep().await.unwrap();
    world.verify(person).await;
    world.enqueue_with(person, Kind::ChangeEmail, "new@example.com", change).await;
    mailer.sweep().await.unwrap();
    assert_eq!(sink.mails().len(), 4);
    assert!(sink.mails().iter().all(|mail| !mail.data.contains("evil")));
    world.enqueue_with(person, Kind::Recover, "ada@example.com", named).await;
    mailer.sweep().await.unwrap();
    assert!(sink.mails()[4].data.contains("Hello Win at evil.example,"));
}

#[tokio::test]
async fn line_breaks_reach_no_header_and_no_command() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let person = world.person("ada@example.com").await;
    world.verify(person).await;
    let bad = "ada@example.com>\r\nRCPT TO:<eve@example.com";
    let id = world.enqueue(person, Kind::PasswordChanged, bad).await;
    let name = Some("Ada\r\nBcc: eve@example.com\r\n\r\nx".to_owned());
    let named = MailData { name, locale: Locale::De, ..data() };
    world.enqueue_with(person, Kind::Recover, "ada@example.com", named).await;
    world.mailer(&sink.url()).sweep().await.unwrap();
    assert_eq!(world.row(id).await.last_error.unwrap(), "the recipient is not an email address");
    assert_eq!(sink.mails().len(), 1);
    assert_eq!(sink.heard("RCPT"), 1);
    assert_eq!(sink.mails()[0].header("Bcc"), "");
}

#[tokio::test]
async fn deleting_a_person_deletes_their_mail_and_old_rows_are_forgotten() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let person = world.person("ada@example.com").await;
    world.enqueue(person, Kind::Confirm, "ada@example.com").await;
    user::Entity::delete_by_id(person).exec(world.db.writer()).await.unwrap();
    let kept = world.confirmation("eve@example.com").await;
    world.clock.advance(HOUR);
    let waiting = depth(&world.db, world.clock.now()).await.unwrap();
    assert_eq!((waiting.waiting, waiting.oldest_age), (1, HOUR));
    assert_eq!(forget(&world.db, world.clock.now()).await.unwrap(), 0);
    world.mailer(&sink.url()).sweep().await.unwrap();
    assert_eq!(world.state(kept).await, "sent");
    let waiting = depth(&world.db, world.clock.now()).await.unwrap();
    assert_eq!((waiting.waiting, waiting.oldest_age), (0, Duration::ZERO));
    assert_eq!(forget(&world.db, world.clock.now()).await.unwrap(), 1);
    assert!(outbox::Entity::find().all(world.db.reader()).await.unwrap().is_empty());
    assert!(email_change::Entity::find().all(world.db.reader()).await.unwrap().is_empty());
}

#[test]
fn a_url_that_could_fall_back_to_plain_text_is_refused() {
    let refused = |url: &str| Transport::smtp(&Secret::new(url.to_owned()), HELO, None).is_err();
    assert!(refused("smtp://mail.example.com?tls=opportunistic"));
    assert!(refused("smtp://mail.example.com?TLS=required"));
    assert!(refused("http://mail.example.com"));
    assert!(refused("smtp://user@mail.example.com"));
    assert!(refused("mail.example.com:25"));
    assert!(!refused("smtp://[::1]:2525"));
    assert!(!refused("smtp://u%40x:p%3Aw@mail.example.com?tls=required"));
    assert!(!refused("smtps://u:p@mail.example.com"));
}

#[tokio::test]
async fn the_domains_of_sender_and_links_are_a_labels() {
    let (world, sink) = (World::new().await, Sink::start().await);
    world.confirmation("ada@example.com").await;
    let transport = Transport::smtp(&Secret::new(sink.url()), HELO, None).unwrap();
    let (url, from) = ("https://bücher.example", "Bücher <no-reply@bücher.example>");
    let mailer = world.mailer_of(url, from, transport);
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1);
    assert_eq!(sink.heard("MAIL FROM:<no-reply@xn--bcher-kva.example>"), 1);
    let mail = sink.mails().remove(0);
    assert!(mail.data.is_ascii());
    assert!(mail.header("From").ends_with(" <no-reply@xn--bcher-kva.example>"), "{}", mail.data);
    assert!(mail.header("Message-ID").ends_with("@xn--bcher-kva.example>"));
    assert!(mail.link().starts_with("https://xn--bcher-kva.example/verify-email?token="));
}
