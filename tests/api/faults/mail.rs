//! Tests with an SMTP server that is down, and with recipients that it refuses.

use std::time::Duration;

use latchkey_entity::outbox;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use crate::app::{Backend, TestApp};
use crate::poll::eventually;

async fn row_of(app: &TestApp, address: &str) -> outbox::Model {
    let db = app.inside().db.reader();
    let row = outbox::Entity::find().filter(outbox::Column::Recipient.eq(address)).one(db).await;
    row.expect("read").expect("a row")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_without_smtp_loses_nothing_on_servers() {
    let app = TestApp::start(Backend::Servers).await;
    app.sink().down().await;
    let addresses: Vec<String> = (0..5).map(|n| format!("p{n}@minute.example")).collect();
    for address in &addresses {
        app.register(address).await;
        app.clock.advance(Duration::from_secs(12));
    }
    assert_eq!(app.pending_mail().await, 5);
    for address in &addresses {
        assert_eq!(row_of(&app, address).await.attempts, 0, "an outage costs a row no try");
    }
    app.sink().up().await;
    app.clock.advance(Duration::from_secs(5));
    for address in &addresses {
        let mail = app.mail_to(address).await;
        app.anonymous().verify(mail.token()).await.expect(200);
    }
    app.outbox_is_empty().await;
    for address in &addresses {
        assert_eq!(app.mails_to(address).await.len(), 1, "once");
        assert_eq!(row_of(&app, address).await.state.as_str(), "sent");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_is_given_up_and_holds_nobody_up_on_servers() {
    let app = TestApp::start(Backend::Servers).await;
    app.sink().refuse_recipient("bad@refused.example", 550);
    app.register("bad@refused.example").await;
    for n in 0..3 {
        let good = app.register(&format!("good{n}@refused.example")).await;
        app.mail_to(&good.email).await;
    }
    let dead = eventually("a dead letter", Duration::from_secs(10), async || {
        Some(row_of(&app, "bad@refused.example").await).filter(|row| row.state.as_str() == "dead")
    })
    .await;
    let told = dead.last_error.unwrap_or_default();
    assert!(told.contains("550"), "{told}");
    assert!(!told.contains("bad@refused.example"), "{told}");
    app.sink().heal();
    app.clock.advance(Duration::from_hours(24));
    app.no_mail_to("bad@refused.example").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_is_put_off_gets_the_mail_later_on_servers() {
    let app = TestApp::start(Backend::Servers).await;
    app.sink().refuse_recipient("grey@later.example", 451);
    app.register("grey@later.example").await;
    let row = eventually("a try", Duration::from_secs(10), async || {
        Some(row_of(&app, "grey@later.example").await).filter(|row| row.attempts == 1)
    })
    .await;
    assert_eq!(row.state.as_str(), "pending");
    app.sink().heal();
    app.clock.advance(Duration::from_mins(2));
    let mail = app.mail_to("grey@later.example").await;
    app.anonymous().verify(mail.token()).await.expect(200);
    app.finish().await;
}
