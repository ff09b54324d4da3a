//! Tests of the invitations for an email address after its user has deleted the account.

use latchkey::database::tenant_scope::{self, TenantScope};
use latchkey::mail::{LinkKind, MailData, NewMail, enqueue};
use latchkey_entity::{invitation, outbox};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use crate::app::{TestApp, both};
use crate::people::{claim, id_of, people};

/// Returns the email addresses that teams have invited.
async fn invited(app: &TestApp) -> Vec<String> {
    let tx =
        tenant_scope::read(&app.inside().db, TenantScope::Operator).await.expect("a transaction");
    let found = invitation::Entity::find().all(&tx).await.expect("read");
    found.into_iter().map(|it| it.email).collect()
}

/// Creates a mail that is due in one year, so that it is still unsent when the user deletes the
/// account.
async fn mail_that_waits(app: &TestApp, about: Uuid, recipient: &str) {
    let mail = NewMail {
        user_id: about,
        kind: LinkKind::Invitation,
        recipient,
        data: MailData::default(),
        traceparent: "",
    };
    let tx = app.inside().db.begin().await.expect("a transaction");
    enqueue(&tx, mail, app.clock.now() + 365 * 86_400_000).await.expect("due");
    tx.commit().await.expect("an end");
}

async fn waiting(app: &TestApp) -> Vec<String> {
    let pending = outbox::Entity::find().filter(outbox::Column::State.eq("pending"));
    let found = pending.all(app.inside().db.reader()).await.expect("read");
    found.into_iter().map(|row| row.recipient).collect()
}

both!(whoever_leaves_is_invited_no_more_and_gets_no_mail, async |app| {
    let [ada, eve, bob] = people(app, ["ada", "eve", "bob"]).await;
    let mut teams = [claim(&ada, "tid"), claim(&eve, "tid")];
    ada.invited(&teams[0], "Bob@Example.org", "member").await;
    app.mail_to("Bob@Example.org").await;
    eve.invited(&teams[1], &bob.email, "viewer").await;
    app.mail_to(&bob.email).await;
    eve.invited(&teams[1], "zoe@example.org", "viewer").await;
    app.outbox_is_empty().await;
    let about: Uuid = id_of(&ada).parse().expect("an id");
    for recipient in ["BOB@example.org", "zoe@example.org"] {
        mail_that_waits(app, about, recipient).await;
    }
    app.expect_mail_left();
    bob.leave().await.expect(204);
    assert_eq!(invited(app).await, ["zoe@example.org"]);
    assert_eq!(waiting(app).await, ["zoe@example.org"]);
    teams.sort();
    for team in &teams {
        let (action, detail) =
            crate::audit::tenancy::events(app, team).await.pop().expect("an event");
        assert_eq!(
            (action.as_str(), &detail["reason"]),
            ("invitation.declined", &"account-deleted".into())
        );
        assert!(detail["invitation"].is_string());
    }
    crate::audit::is_sound(app).await;
    // The test registers the email address again. The new user must have no invitation.
    let again = app.verified(&bob.email).await;
    let offers = again.as_user().get("/api/me/invitations").await.expect(200).json();
    assert_eq!(offers["items"], serde_json::json!([]));
});

both!(who_never_proved_an_address_takes_nobodys_invitation_away, async |app| {
    let [ada] = people(app, ["ada"]).await;
    ada.invited(&claim(&ada, "tid"), "bob@example.org", "member").await;
    app.outbox_is_empty().await;
    mail_that_waits(app, id_of(&ada).parse().expect("an id"), "bob@example.org").await;
    app.expect_mail_left();
    let stranger = app.register("bob@example.org").await;
    stranger.leave().await.expect(204);
    assert_eq!(invited(app).await, ["bob@example.org"]);
    assert!(waiting(app).await.contains(&"bob@example.org".to_owned()));
});
