//! Tests of failures and their effects.

use std::sync::atomic::Ordering;
use std::time::Duration;

use latchkey_entity::outbox;
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait;

use super::sink::{DROP, HANG, Sink};
use super::{HELO, HOUR, NOW, World};
use crate::clock::millis;
use crate::mail::delivery::back_off;
use crate::mail::letter::{self, Sender};
use crate::mail::smtp::Smtp;
use crate::mail::{Kind, SWEEP_EVERY};
use crate::secret::Secret;
use crate::telemetry::labels::MailOutcome;

const MINUTE: Duration = Duration::from_mins(1);
/// How long the queue pauses.
const PAUSE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_server_that_is_down_and_comes_back_loses_nothing_and_costs_no_try() {
    let world = World::new().await;
    let sink = Sink::start().await;
    let (url, address) = (sink.url(), sink.address);
    drop(sink);
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(world.confirmation(&format!("person{number}@example.com")).await);
    }
    let mailer = world.mailer(&url);
    for _ in 0..20 {
        let swept = mailer.sweep().await.unwrap();
        assert_eq!(swept.count(MailOutcome::Released), 1);
        assert_eq!(swept.next_due, Some(world.clock.now() + millis(PAUSE)));
        assert!(mailer.sweep().await.unwrap().deliveries.is_empty(), "the queue rests");
        world.clock.advance(PAUSE);
    }
    // The outage lasts longer than a row may wait, but an outage of the mail server does not count
    // against a row.
    world.clock.advance(30 * HOUR);
    let sink = Sink::start_at(address).await;
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 5);
    assert_eq!(sink.mails().len(), 5);
    for id in ids {
        assert_eq!(world.row(id).await.attempts, 0);
    }
}

#[tokio::test]
async fn a_refused_session_pauses_the_queue_and_counts_nothing() {
    for (line, reply) in [
        ("BANNER", "554 5.7.1 not you"),
        ("EHLO", "421 4.3.2 too busy"),
        ("AUTH", "535 5.7.8 wrong password"),
        ("MAIL", "530 5.7.0 authentication required"),
        ("BANNER", DROP),
        ("EHLO", "504 5.5.2 <4f2a9c0b1d2e>: need a fully qualified host name"),
        ("MAIL", "553 5.7.1 sender address rejected: not owned by user"),
        ("MAIL", "554 5.7.1 quota"),
        ("MAIL", "452 4.3.1 no space"),
        ("MAIL", DROP),
    ] {
        let (world, sink) = (World::new().await, Sink::start().await);
        let ids =
            [world.confirmation("a@example.com").await, world.confirmation("b@example.com").await];
        sink.answer(line, reply, 1);
        let mailer = world.mailer(&format!("smtp://user:secret@{}", sink.address));
        assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Released), 1, "{line} {reply}");
        for id in ids {
            let row = world.row(id).await;
            assert_eq!((row.state.as_str(), row.attempts), ("pending", 0), "{line} {reply}");
            assert_eq!((row.leased_until, row.due_at), (0, NOW));
        }
        world.clock.advance(PAUSE);
        assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 2, "{line} {reply}");
    }
}

#[tokio::test]
async fn every_periodic_sweep_tests_a_server_that_is_down() {
    let (world, sink) = (World::new().await, Sink::start().await);
    world.confirmation("ada@example.com").await;
    sink.answer("BANNER", "421 4.3.2 too busy", usize::MAX);
    let mailer = world.mailer(&sink.url());
    // The attempt begins some milliseconds after its sweep.
    world.clock.advance(Duration::from_millis(20));
    for attempts in 1..=4 {
        mailer.sweep().await.unwrap();
        assert_eq!(sink.heard("BANNER"), attempts);
        let late = Duration::from_millis(if attempts == 1 { 20 } else { 0 });
        world.clock.advance(SWEEP_EVERY.saturating_sub(late));
    }
}

#[tokio::test]
async fn a_kept_session_that_takes_no_more_mails_is_replaced_at_once() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let mailer = world.mailer(&sink.url());
    world.confirmation("a@example.com").await;
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1);
    for reply in ["421 4.7.0 too many mails", "451 4.7.0 too many mails", DROP] {
        world.confirmation(&format!("b{}@example.com", sink.mails().len())).await;
        sink.answer("MAIL", reply, 1);
        assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1, "{reply}");
    }
    assert_eq!(sink.heard("BANNER"), 4);
}

#[tokio::test]
async fn the_name_in_ehlo_is_the_setting() {
    let (world, sink) = (World::new().await, Sink::start().await);
    world.confirmation("ada@example.com").await;
    world.mailer(&sink.url()).sweep().await.unwrap();
    assert_eq!(sink.heard(&format!("EHLO {HELO}")), 1);
}

#[tokio::test]
async fn lower_case_keywords_and_replies_without_text_are_understood() {
    for (line, reply) in [
        ("EHLO", "250-sink\r\n250-8bitmime\r\n250 auth login plain"),
        ("EHLO", "250-   \r\n250-   \r\n250 AUTH PLAIN"),
        ("BANNER", "220"),
        ("MAIL", "250"),
        ("RCPT", "250-\r\n250"),
        ("END", "250"),
        ("AUTH", "235"),
    ] {
        let (world, sink) = (World::new().await, Sink::start().await);
        let id = world.confirmation("ada@example.com").await;
        sink.answer(line, reply, 1);
        let mailer = world.mailer(&format!("smtp://user:secret@{}", sink.address));
        mailer.sweep().await.unwrap();
        assert_eq!(world.state(id).await, "sent", "{line} {reply:?}");
    }
}

#[tokio::test]
async fn no_bare_line_end_of_a_text_reaches_the_server() {
    let sink = Sink::start().await;
    let sender = Sender::parse("no-reply@example.com").unwrap();
    let text = "a\r.\r\nb\n.\rc";
    let message = letter::test(&sender, "ada@example.com", text, NOW).unwrap();
    let smtp = Smtp::from_url(&Secret::new(sink.url()), HELO, None).unwrap();
    smtp.deliver(&message).await.unwrap();
    let data = sink.mails().remove(0).data;
    let rest = data.replace("\r\n", "");
    assert!(!rest.contains(['\r', '\n']), "{data:?}");
    assert!(data.contains("\r\n..\r\n") || !data.contains("\r\n.\r\nb"), "{data:?}");
    assert_eq!(sink.heard("END"), 1);
}

#[tokio::test]
async fn where_tls_is_asked_nothing_goes_in_the_clear() {
    for url in ["smtp://u:p@{}?tls=required", "smtps://u:p@{}"] {
        let (world, sink) = (World::new().await, Sink::start().await);
        let id = world.confirmation("ada@example.com").await;
        let mailer = world.hasty_mailer(&url.replace("{}", &sink.address.to_string()));
        assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Released), 1);
        assert_eq!((sink.heard("AUTH"), sink.heard("MAIL")), (0, 0), "{url}");
        assert_eq!(world.row(id).await.attempts, 0);
    }
}

#[tokio::test]
async fn a_greylisted_mail_backs_off_and_comes_with_the_same_token() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let id = world.confirmation("ada@example.com").await;
    sink.answer("END", "451 4.7.1 come back later, ada@example.com", 1);
    sink.answer("RCPT", "450 4.2.0 <ada@example.com> greylisted", 1);
    let mailer = world.mailer(&sink.url());
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Retry), 1);
    let row = world.row(id).await;
    assert_eq!((row.state.as_str(), row.attempts, row.leased_until), ("pending", 1, 0));
    assert_eq!(row.last_error.as_deref(), Some("450 4.2.0"));
    let rest = row.due_at - world.clock.now();
    assert!((48_000..=72_000).contains(&rest), "{rest}");
    assert!(mailer.sweep().await.unwrap().deliveries.is_empty());
    world.clock.advance(2 * MINUTE);
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Retry), 1);
    assert_eq!(world.row(id).await.last_error.as_deref(), Some("451 4.7.1"));
    world.clock.advance(3 * MINUTE);
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1);
    let mails = sink.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].link(), mails[1].link());
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    assert_eq!(world.row(id).await.last_error, None);
}

#[test]
fn the_back_off_doubles_from_a_minute_to_six_hours() {
    for (tries, minutes) in [(0, 1), (1, 2), (2, 4), (8, 256), (9, 360), (1000, 360)] {
        let rest = back_off(tries);
        assert!(rest >= MINUTE * minutes * 4 / 5 && rest <= MINUTE * minutes * 6 / 5, "{rest:?}");
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_for_a_day_is_given_up() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let id = world.confirmation("ada@example.com").await;
    sink.answer("RCPT", "450 4.2.0 no", usize::MAX);
    let mailer = world.mailer(&sink.url());
    let mut tries = 0;
    while world.state(id).await == "pending" {
        let swept = mailer.sweep().await.unwrap();
        tries += swept.deliveries.len();
        if let Some(next) = swept.next_due {
            let rest = u64::try_from(next - world.clock.now()).unwrap();
            world.clock.advance(Duration::from_millis(rest));
        }
    }
    assert_eq!(world.state(id).await, "dead");
    assert_eq!(world.clock.now(), NOW + millis(24 * HOUR));
    assert!((10..16).contains(&tries), "{tries}");
}

#[tokio::test]
async fn an_outage_does_not_eat_the_tries_of_a_greylisted_mail() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let id = world.confirmation("ada@example.com").await;
    world.clock.advance(30 * HOUR);
    sink.answer("RCPT", "450 4.2.0 greylisted", 1);
    let mailer = world.mailer(&sink.url());
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Retry), 1);
    world.clock.advance(2 * MINUTE);
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1);
    assert_eq!(world.state(id).await, "sent");
}

#[tokio::test]
async fn a_permanent_refusal_ends_that_mail_alone_at_once() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let bad = world.confirmation("bad@example.com").await;
    let good = world.confirmation("good@example.com").await;
    sink.answer("RCPT TO:<bad@", "550 5.1.1 no such person", 1);
    let swept = world.mailer(&sink.url()).sweep().await.unwrap();
    assert_eq!((swept.count(MailOutcome::Dead), swept.count(MailOutcome::Sent)), (1, 1));
    let row = world.row(bad).await;
    assert_eq!((row.state.as_str(), row.last_error.as_deref()), ("dead", Some("550 5.1.1")));
    assert_eq!(world.state(good).await, "sent");
}

#[tokio::test]
async fn a_mail_that_breaks_every_connection_lets_the_others_go_first() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let bad = world.confirmation("bad@example.com").await;
    let good = world.confirmation("good@example.com").await;
    sink.answer("RCPT TO:<bad@", DROP, usize::MAX);
    let mailer = world.mailer(&sink.url());
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Released), 1);
    world.clock.advance(PAUSE);
    mailer.sweep().await.unwrap();
    assert_eq!(world.state(good).await, "sent");
    assert_eq!(world.row(bad).await.attempts, 0);
    world.clock.advance(24 * HOUR);
    for _ in 0..20 {
        mailer.sweep().await.unwrap();
        world.clock.advance(HOUR);
    }
    assert_eq!(world.state(bad).await, "dead");
}

#[tokio::test]
async fn a_server_that_hangs_is_left_in_time_and_the_mail_comes_again() {
    let (world, sink) = (World::new().await, Sink::start().await);
    world.confirmation("ada@example.com").await;
    sink.answer("END", HANG, 1);
    let mailer = world.hasty_mailer(&sink.url());
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Retry), 1);
    world.clock.advance(2 * MINUTE);
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1);
}

#[tokio::test]
async fn a_crash_before_the_mark_mails_the_same_token_under_the_same_message_id() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let id = world.confirmation("ada@example.com").await;
    sink.answer("END", HANG, 1);
    {
        let mailer = world.mailer(&sink.url());
        tokio::select! {
            swept = mailer.sweep() => panic!("the server never answered: {swept:?}"),
            () = sink.received(1) => {}
        }
    }
    let mailer = world.mailer(&sink.url());
    assert!(mailer.sweep().await.unwrap().deliveries.is_empty(), "the lease holds");
    world.clock.advance(MINUTE + Duration::from_millis(1));
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1);
    let mails = sink.mails();
    assert_eq!(mails.len(), 2);
    assert!(mails[0].link().contains("/verify-email?token="));
    assert_eq!(mails[0].link(), mails[1].link());
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    assert_eq!(world.state(id).await, "sent");
}

#[tokio::test]
async fn with_the_store_down_links_wait_and_notices_leave() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let person = world.person("ada@example.com").await;
    let link = world.enqueue(person, Kind::Confirm, "ada@example.com").await;
    let notice = world.enqueue(person, Kind::PasswordChanged, "ada@example.com").await;
    world.rename_store("token_store", "away").await;
    let mailer = world.mailer(&sink.url());
    let swept = mailer.sweep().await.unwrap();
    assert_eq!((swept.deliveries.len(), swept.count(MailOutcome::Sent)), (1, 1));
    assert_eq!(world.state(notice).await, "sent");
    let row = world.row(link).await;
    assert_eq!((row.state.as_str(), row.attempts, row.leased_until), ("pending", 0, 0));
    assert_eq!(mailer.sweep().await.unwrap_err().dependency, "token store");
    world.rename_store("away", "token_store").await;
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1);
}

#[tokio::test]
async fn a_poison_row_is_given_up_after_five_tries_and_blocks_nothing() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let bad = world.confirmation("bad@example.com").await;
    let data = Set("{".to_owned());
    outbox::Entity::update(outbox::ActiveModel { id: Set(bad), data, ..Default::default() })
        .exec(world.db.writer())
        .await
        .unwrap();
    let good = world.confirmation("good@example.com").await;
    let mailer = world.mailer(&sink.url());
    let swept = mailer.sweep().await.unwrap();
    assert_eq!((swept.count(MailOutcome::Retry), swept.count(MailOutcome::Sent)), (1, 1));
    assert_eq!(world.state(good).await, "sent");
    for tries in 2..=5 {
        world.clock.advance(HOUR);
        assert_eq!(mailer.sweep().await.unwrap().deliveries.len(), 1);
        assert_eq!(world.row(bad).await.attempts, tries);
    }
    assert_eq!(world.state(bad).await, "dead");
}

#[tokio::test]
async fn a_kind_of_a_later_release_is_left_to_it() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let id = world.confirmation("ada@example.com").await;
    let kind = Set("magic-link".to_owned());
    outbox::Entity::update(outbox::ActiveModel { id: Set(id), kind, ..Default::default() })
        .exec(world.db.writer())
        .await
        .unwrap();
    assert!(world.mailer(&sink.url()).sweep().await.unwrap().deliveries.is_empty());
    assert_eq!(world.row(id).await.attempts, 0);
}

#[tokio::test]
async fn a_clock_set_back_does_not_hold_the_queue() {
    let (world, sink) = (World::new().await, Sink::start().await);
    world.confirmation("ada@example.com").await;
    sink.answer("BANNER", "421 busy", 1);
    let later = crate::clock::Clock::manual(NOW + millis(HOUR));
    let mut set_back = World { clock: later.clone(), ..world };
    let mailer = set_back.mailer(&sink.url());
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Released), 1);
    if let crate::clock::Clock::Manual(now) = &mut set_back.clock {
        now.store(NOW + millis(MINUTE), Ordering::SeqCst);
    }
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1);
}

#[tokio::test]
async fn a_stopping_mailer_claims_nothing_more() {
    let (world, sink) = (World::new().await, Sink::start().await);
    world.confirmation("ada@example.com").await;
    let mailer = world.mailer(&sink.url());
    mailer.stop();
    assert!(mailer.sweep().await.unwrap().deliveries.is_empty());
    assert!(sink.mails().is_empty());
}
