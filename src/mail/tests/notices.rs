//! Tests of who receives a notice, and how many.

use std::sync::atomic::Ordering;

use latchkey_entity::outbox;
use sea_orm::EntityTrait as _;
use uuid::Uuid;

use super::sink::Sink;
use super::{HOUR, NOW, World, data};
use crate::clock::{Clock, millis};
use crate::mail::queue;
use crate::mail::{Kind, MailData, NewNotice, NoticeKind, Notified, depth, notify, operator};

impl World {
    async fn notify(&self, user_id: Uuid, kind: NoticeKind) -> Notified {
        let tx = self.db.begin().await.unwrap();
        let notice = NewNotice { user_id, kind, data: data(), traceparent: "" };
        let notified = notify(&tx, notice, self.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        notified
    }

    async fn rows(&self) -> Vec<outbox::Model> {
        outbox::Entity::find().all(self.db.reader()).await.unwrap()
    }
}

#[tokio::test]
async fn a_notice_goes_to_the_proven_address_of_the_account_alone() {
    let world = World::new().await;
    let kinds = NoticeKind::ALL.iter().copied();
    let ada = world.person("ada@example.com").await;
    for kind in kinds.clone() {
        assert_eq!(world.notify(ada, kind).await, Notified::Unproven);
        assert_eq!(world.notify(Uuid::nil(), kind).await, Notified::Gone);
    }
    assert!(world.rows().await.is_empty());
    world.verify(ada).await;
    for kind in kinds {
        assert_eq!(world.notify(ada, kind).await, Notified::Due);
    }
    let rows = world.rows().await;
    assert_eq!(rows.len(), NoticeKind::ALL.len());
    assert!(rows.iter().all(|row| row.recipient == "ada@example.com"));
    // The name in the mail is also the name of the account.
    assert!(rows.iter().all(|row| row.data.contains("\"name\":\"Ada\"")), "{rows:?}");
}

#[tokio::test]
async fn notices_beyond_the_first_wait_as_one_and_count_as_waiting_once_they_are_due() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let ada = world.person("ada@example.com").await;
    let eve = world.person("eve@example.com").await;
    world.verify(ada).await;
    world.verify(eve).await;
    assert_eq!(world.notify(ada, NoticeKind::SessionReused).await, Notified::Due);
    world.clock.advance(HOUR / 2);
    for _ in 0..20 {
        assert_eq!(world.notify(ada, NoticeKind::SessionReused).await, Notified::Merged);
    }
    // A notice of another kind or to another account does not wait for the first notice.
    assert_eq!(world.notify(ada, NoticeKind::PasswordChanged).await, Notified::Due);
    assert_eq!(world.notify(eve, NoticeKind::SessionReused).await, Notified::Due);
    assert_eq!(world.rows().await.len(), 4);
    let mailer = world.mailer(&sink.url());
    let swept = mailer.sweep().await.unwrap();
    assert_eq!((swept.deliveries.len(), swept.next_due), (3, Some(NOW + millis(HOUR))));
    assert_eq!(depth(&world.db, world.clock.now()).await.unwrap(), mail_depth(0));
    world.clock.advance(HOUR / 2);
    assert_eq!(depth(&world.db, world.clock.now()).await.unwrap(), mail_depth(1));
    assert_eq!(mailer.sweep().await.unwrap().deliveries.len(), 1);
    let text = &sink.mails()[3].data;
    assert!(text.contains("It happened 20 times within an hour."), "{text}");
}

fn mail_depth(waiting: u64) -> crate::mail::Depth {
    crate::mail::Depth { waiting, ..Default::default() }
}

#[tokio::test]
async fn a_notice_that_was_rolled_back_does_not_count() {
    let world = World::new().await;
    let ada = world.person("ada@example.com").await;
    world.verify(ada).await;
    let tx = world.db.begin().await.unwrap();
    let kind = NoticeKind::PasswordChanged;
    let notice = NewNotice { user_id: ada, kind, data: data(), traceparent: "" };
    assert_eq!(notify(&tx, notice, NOW).await.unwrap(), Notified::Due);
    tx.rollback().await.unwrap();
    assert_eq!(world.notify(ada, kind).await, Notified::Due);
}

#[tokio::test]
async fn a_notice_that_an_operator_sends_early_is_followed_by_another() {
    let (world, sink) = (World::new().await, Sink::start().await);
    let ada = world.person("ada@example.com").await;
    world.verify(ada).await;
    let kind = NoticeKind::PasswordChanged;
    assert_eq!(world.notify(ada, kind).await, Notified::Due);
    assert_eq!(world.notify(ada, kind).await, Notified::Merged);
    let waits = world.rows().await.into_iter().find(|row| row.due_at > NOW).unwrap();
    operator::retry(&world.db, waits.id, NOW).await.unwrap();
    world.mailer(&sink.url()).sweep().await.unwrap();
    assert_eq!(sink.mails().len(), 2);
    assert_eq!(world.notify(ada, kind).await, Notified::Merged);
    let pending =
        world.rows().await.into_iter().find(|row| row.state.as_str() == "pending").unwrap();
    assert_eq!(pending.due_at, NOW + millis(HOUR));
    let data: MailData = serde_json::from_str(&pending.data).unwrap();
    assert_eq!(data.times, 0);
}

/// The events that these notices report.
fn events(rows: &[outbox::Model]) -> u32 {
    let data = rows.iter().map(|row| serde_json::from_str::<MailData>(&row.data).unwrap());
    data.map(|data| data.times.max(1)).sum()
}

/// The notice that waits for its hour, after a first one that was sent.
async fn waiting(world: &World, ada: Uuid) -> outbox::Model {
    world.verify(ada).await;
    for expected in [Notified::Due, Notified::Merged, Notified::Merged] {
        assert_eq!(world.notify(ada, NoticeKind::PasswordChanged).await, expected);
    }
    let due = queue::due(&world.db, Kind::ALL, NOW).await.unwrap();
    let first = queue::claim(&world.db, &due[0], NOW).await.unwrap().unwrap();
    first.sent(&world.db, NOW).await.unwrap();
    world.rows().await.into_iter().find(|row| row.due_at > NOW).unwrap()
}

#[tokio::test]
async fn an_event_during_the_sending_of_a_notice_is_reported_by_another() {
    let world = World::new().await;
    let ada = world.person("ada@example.com").await;
    let waiting = waiting(&world, ada).await;
    // A replica whose clock is ahead has claimed the notice.
    let ahead = NOW + millis(HOUR);
    let claim = queue::claim(&world.db, &waiting, ahead).await.unwrap().unwrap();
    assert_eq!(world.notify(ada, NoticeKind::PasswordChanged).await, Notified::Merged);
    claim.sent(&world.db, ahead).await.unwrap();
    let rows = world.rows().await;
    assert_eq!((rows.len(), events(&rows)), (3, 4), "{rows:?}");
    let pending: Vec<_> = rows.into_iter().filter(|row| row.sent_at.is_none()).collect();
    assert_eq!((pending.len(), events(&pending)), (1, 1), "{pending:?}");
}

#[tokio::test]
async fn an_event_between_the_reading_of_a_notice_and_its_claim_is_sent_with_it() {
    let world = World::new().await;
    let ada = world.person("ada@example.com").await;
    let read = waiting(&world, ada).await;
    assert_eq!(world.notify(ada, NoticeKind::PasswordChanged).await, Notified::Merged);
    let ahead = NOW + millis(HOUR);
    let claim = queue::claim(&world.db, &read, ahead).await.unwrap().unwrap();
    assert_eq!(events(std::slice::from_ref(&claim.row)), 3);
}

#[tokio::test]
async fn a_clock_that_was_set_back_delays_no_notice_for_more_than_an_hour() {
    let world = World::new().await;
    let ada = world.person("ada@example.com").await;
    world.verify(ada).await;
    let kind = NoticeKind::PasswordChanged;
    world.clock.advance(24 * HOUR);
    assert_eq!(world.notify(ada, kind).await, Notified::Due);
    assert_eq!(world.notify(ada, kind).await, Notified::Merged);
    if let Clock::Manual(now) = &world.clock {
        now.store(NOW, Ordering::SeqCst);
    }
    assert_eq!(world.notify(ada, kind).await, Notified::Due);
    assert_eq!(world.notify(ada, kind).await, Notified::Merged);
}
