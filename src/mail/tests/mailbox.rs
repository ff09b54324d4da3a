//! Tests of the built-in mailbox.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait;

use super::{World, data};
use crate::mail::{Kind, Locale, MailData, Mailbox, Transport};
use crate::telemetry::labels::MailOutcome;

#[tokio::test]
async fn a_mail_is_a_private_file_and_survives_a_restart() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    let dir = dir.path().join("mailbox");
    let mailbox = Mailbox::open(&dir).await.unwrap();
    let id = world.confirmation("Ada@example.com").await;
    let mailer = world.mailer_over(Transport::mailbox(mailbox.clone()));
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join(format!("{id}.json"))), 0o600);
    tokio::fs::write(dir.join("half.tmp"), "{").await.unwrap();
    tokio::fs::write(dir.join("broken.json"), "{").await.unwrap();
    let again = Mailbox::open(&dir).await.unwrap();
    assert!(!dir.join("half.tmp").exists());
    assert_eq!(again.list(Some("ada@EXAMPLE.com")), mailbox.list(None));
    assert!(again.list(Some("eve@example.com")).is_empty());
    let message = again.get(id).unwrap();
    assert_eq!((message.kind.as_str(), message.to.as_str()), ("confirm", "Ada@example.com"));
    assert_eq!(message.subject, "Confirm your address for Example");
    let token = message.token.as_deref().unwrap();
    assert_eq!(
        message.link.as_deref(),
        Some(format!("https://auth.example.com:8443/verify-email?token={token}").as_str())
    );
    assert!(message.text.lines().any(|line| Some(line) == message.link.as_deref()));
    assert!(message.source.contains("Auto-Submitted: auto-generated\r\n"));
    again.clear().await.unwrap();
    assert!(Mailbox::open(&dir).await.unwrap().list(None).is_empty());
}

#[tokio::test]
async fn a_mail_delivered_again_after_a_crash_is_there_once() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    let mailbox = Mailbox::open(dir.path()).await.unwrap();
    let id = world.confirmation("ada@example.com").await;
    let mailer = world.mailer_over(Transport::mailbox(mailbox.clone()));
    mailer.sweep().await.unwrap();
    // Set the row to pending, as if it had never been marked as sent.
    let state = Set(latchkey_entity::outbox::OutboxState::Pending);
    let row = latchkey_entity::outbox::ActiveModel { id: Set(id), state, ..Default::default() };
    latchkey_entity::outbox::Entity::update(row).exec(world.db.writer()).await.unwrap();
    let reopened = Mailbox::open(dir.path()).await.unwrap();
    let mailer = world.mailer_over(Transport::mailbox(reopened.clone()));
    assert_eq!(mailer.sweep().await.unwrap().count(MailOutcome::Sent), 1);
    assert_eq!(reopened.list(None), mailbox.list(None));
    assert_eq!(reopened.list(None).len(), 1);
}

#[tokio::test]
async fn waiting_ends_with_the_first_mail_that_matches() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    let mailbox = Mailbox::open(dir.path()).await.unwrap();
    let mailer = world.mailer_over(Transport::mailbox(mailbox.clone()));
    let first = world.confirmation("ada@example.com").await;
    mailer.sweep().await.unwrap();
    let minute = Duration::from_mins(1);
    let found = mailbox.wait_for(Some("ada@example.com"), None, minute).await;
    assert_eq!(found[0].id, first);
    world.confirmation("eve@example.com").await;
    let person = world.person("other@example.com").await;
    let german = MailData { locale: Locale::De, ..data() };
    let second = world.enqueue_with(person, Kind::Recover, "ada@example.com", german).await;
    let (found, _) = tokio::join!(
        mailbox.wait_for(Some("ada@example.com"), Some(first), minute),
        mailer.sweep(),
    );
    assert_eq!(found.iter().map(|message| message.id).collect::<Vec<_>>(), [second]);
    assert_eq!(mailbox.list(Some("ada@example.com"))[0].id, second, "newest first");
    let none = mailbox.wait_for(Some("nobody@example.com"), None, Duration::ZERO).await;
    assert!(none.is_empty());
}

#[tokio::test]
async fn the_newest_thousand_are_kept() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    let mailbox = Mailbox::open(dir.path()).await.unwrap();
    let first = world.confirmation("ada@example.com").await;
    world.mailer_over(Transport::mailbox(mailbox.clone())).sweep().await.unwrap();
    let message = (*mailbox.get(first).unwrap()).clone();
    for number in 0..1002_i64 {
        let id = crate::secret::uuid_v7(super::NOW + number);
        let later = crate::mail::MailboxMessage {
            id,
            received_at: message.received_at + 1 + number,
            ..message.clone()
        };
        let file = dir.path().join(format!("{id}.json"));
        std::fs::write(file, serde_json::to_vec(&later).unwrap()).unwrap();
    }
    let reopened = Mailbox::open(dir.path()).await.unwrap();
    assert_eq!(reopened.list(None).len(), 1000);
    assert_eq!(reopened.get(first), None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1000);
}
