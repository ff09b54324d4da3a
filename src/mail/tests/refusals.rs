//! Tests of refusals at RCPT TO that are not about the recipient, and of the check that finds them.

use std::time::Duration;

use super::sink::Sink;
use super::{World, mail_settings};
use crate::mail::{Probe, Step};
use crate::secret::Secret;
use crate::telemetry::labels::MailOutcome;

/// Refusals of our name in EHLO, our login, our network or our sender. Their addresses are those of
/// the documentation.
const OF_THE_SESSION: [&str; 10] = [
    "504 5.5.2 <4f2a9c0b1d2e>: Helo command rejected: need fully-qualified hostname",
    "553 5.7.1 <no-reply@example.com>: Sender address rejected: not owned by user",
    "450 4.7.25 Client host rejected: cannot find your hostname",
    "554 5.7.1 <unknown[203.0.113.7]>: Unverified Client host rejected: Access denied",
    "554 5.7.1 <mail>: SASL login name rejected: Access denied",
    "554 5.7.1 <F1:0A>: Client certificate rejected: Access denied",
    "554 5.7.1 Service unavailable; Client host [203.0.113.7] blocked using bl.example",
    "554 5.7.1 Service unavailable; Sender address [no-reply@example.com] blocked using bl.example",
    "554 5.7.1 Service unavailable; Helo command [mail.example.com] blocked using bl.example",
    "530 SMTP authentication is required.",
];
/// Refusals of the recipient.
const OF_THE_RECIPIENT: [&str; 4] = [
    "550 5.1.1 <a@example.com>: Recipient address rejected: User unknown",
    "450 4.2.0 <a@example.com>: Recipient address rejected: Greylisted",
    "550 5.1.1 <a@example.com>: host mx.example said: 550 Sender address rejected",
    "554 5.7.1 Service unavailable; Recipient address [a@example.com] blocked using bl.example",
];

#[tokio::test]
async fn a_refusal_of_our_name_or_sender_at_the_recipient_costs_no_mail() {
    for reply in OF_THE_SESSION {
        let (world, sink) = (World::new().await, Sink::start().await);
        let id = world.confirmation("ada@example.com").await;
        sink.answer("RCPT", reply, 1);
        let mailer = world.mailer(&sink.url());
        assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Released), 1, "{reply}");
        assert_eq!(world.row(id).await.attempts, 0, "{reply}");
        world.clock.advance(Duration::from_secs(2));
        assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1, "{reply}");
    }
}

#[tokio::test]
async fn a_mail_that_the_server_does_not_relay_backs_off_and_delays_no_other() {
    for reply in [
        "554 5.7.1 <bad@elsewhere.example>: Relay access denied",
        "550 5.7.1 <bad@elsewhere.example>... Relaying denied",
        "550 relay not permitted",
        "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    ] {
        let (world, sink) = (World::new().await, Sink::start().await);
        let bad = world.confirmation("bad@elsewhere.example").await;
        let good = world.confirmation("good@example.com").await;
        sink.answer("RCPT TO:<bad@", reply, 1);
        let mailer = world.mailer(&sink.url());
        let swept = mailer.sweep().await.unwrap();
        assert_eq!((swept.count(MailOutcome::Retry), swept.count(MailOutcome::Sent)), (1, 1));
        assert_eq!(world.state(good).await, "sent", "{reply}");
        world.clock.advance(Duration::from_mins(2));
        assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1, "{reply}");
        assert_eq!(world.state(bad).await, "sent", "{reply}");
    }
}

#[tokio::test]
async fn the_check_of_the_sender_finds_a_refusal_that_comes_at_the_recipient() {
    let mail = mail_settings();
    let replies = OF_THE_SESSION.map(|reply| (reply, Err(Step::Sender)));
    for (reply, expected) in replies.into_iter().chain(OF_THE_RECIPIENT.map(|it| (it, Ok(())))) {
        let sink = Sink::start().await;
        sink.answer("RCPT TO:<no-reply@example.com>", reply, 1);
        let probe = Probe::new(&Secret::new(sink.url()), &mail).unwrap();
        let mut last = None;
        let walked = probe.walk(None, &mut |tried| last = Some(tried)).await;
        assert_eq!(walked, expected, "{reply}");
        let remedy = last.and_then(|tried| probe.remedy(&tried)).unwrap_or_default();
        assert_eq!(remedy.contains("`mail.from`"), expected.is_err(), "{reply}");
        assert_eq!((sink.heard("DATA"), sink.mails().len()), (0, 0), "no mail is sent");
    }
}
