//! Tests of `registration.mode = "invite"`.

use latchkey::account::operator::{self, Address, FirstMail, NewAccount, Who};
use latchkey::audit::ChangeContext;
use latchkey::audit::RequestOrigin;
use latchkey::mail::MailData;
use latchkey::team::invitations::{self, Post};
use latchkey::team::{Actor, Role, teams};
use latchkey::user::EmailAddress;
use serde_json::json;
use uuid::Uuid;

use super::DAY;
use crate::app::{TestApp, both};
use crate::ask::alike;

both!(
    registration_by_invitation_admits_the_invited_alone,
    ["registration.mode" = "invite"],
    async |app| {
        let token = invited_by_an_operators_person(app, "New@example.org").await;
        let nobody = app.anonymous();
        let register = async |email| nobody.register(email, "correct horse battery", "N").await;
        let refused = register("other@example.org").await.expect_problem(403, "forbidden");
        // The response is the same for an email address with an account and for one without. So it
        // does not reveal which addresses have an account.
        assert_eq!(alike(&register("host@example.org").await), alike(&refused));
        let mut new = app.register("new@example.org").await;
        let confirmation = app.mail_to("new@example.org").await;
        assert_eq!(confirmation.subject, "Confirm your address for Latchkey");
        new.verify(confirmation.token()).await.expect(200);
        new.accept(&token).await.expect(200);
        // After the user has used the invitation, latchkey refuses this email address like an
        // address without an invitation.
        assert_eq!(alike(&register("new@example.org").await), alike(&refused));
        let late = invited_by_an_operators_person(app, "late@example.org").await;
        app.clock.advance(DAY * 7);
        assert_eq!(alike(&register("late@example.org").await), alike(&refused));
        assert!(!late.is_empty());
    }
);

both!(
    a_change_of_address_is_no_way_round_the_invitation,
    ["registration.mode" = "invite"],
    async |app| {
        invited_by_an_operators_person(app, "new@example.org").await;
        invited_by_an_operators_person(app, "other@example.org").await;
        let mut new = app.register("new@example.org").await;
        let confirmation = app.mail_to("new@example.org").await;
        let change = async |email: &str| {
            let body = json!({ "email": email, "password": new.password });
            new.as_user().post_json("/api/change-email", body).await
        };
        // A user who has not confirmed an email address can change it only to another invited
        // address.
        change("else@example.org").await.expect_problem(403, "forbidden");
        app.no_mail_to("else@example.org").await;
        change("other@example.org").await.expect(200);
        app.mail_to("other@example.org").await;
        // A user who has confirmed an invited email address can change to any address.
        new.verify(confirmation.token()).await.expect(200);
        let body = json!({ "email": "else@example.org", "password": new.password });
        new.as_user().post_json("/api/change-email", body).await.expect(200);
        app.mail_to("else@example.org").await;
        app.mails_to("new@example.org").await;
    }
);

both!(
    who_is_invited_is_not_to_be_had_without_a_captcha,
    ["registration.mode" = "invite", "captcha.on" = "register"],
    async |app| {
        invited_by_an_operators_person(app, "new@example.org").await;
        let register = async |email| {
            let answer = app.anonymous().register(email, "correct horse battery", "N").await;
            alike(&answer.expect_problem(400, "captcha-invalid"))
        };
        let answers = [
            register("new@example.org").await,
            register("other@example.org").await,
            register("host@example.org").await,
        ];
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    }
);

/// In this mode nobody can register. Therefore the operator first creates a user with a team, as on
/// the command line. This user then invites `email`.
async fn invited_by_an_operators_person(app: &TestApp, email: &str) -> String {
    let inside = app.inside();
    let now = inside.clock.now();
    let host = NewAccount {
        email: EmailAddress::parse("host@example.org").expect("an address"),
        name: "Host".to_owned(),
        password_hash: String::new(),
        address: Address::Verified,
        mail: FirstMail::Nothing,
    };
    let change =
        ChangeContext { db: &inside.db, chain: &inside.audit, origin: RequestOrigin::none(), now };
    operator::create(&change, &host).await.expect("made or there");
    let who = Who::Email(host.email);
    let user_id = operator::find(&inside.db, &who).await.expect("found").expect("there").id;
    let teams = teams::of_user(&inside.db, user_id, Uuid::nil(), 1).await.expect("found");
    let actor = Actor { team_id: teams[0].id, user_id };
    let post = Post {
        key: &inside.mail_key,
        data: MailData { at: now, ..MailData::default() },
        traceparent: "",
        members_max: 9,
        per_day: 9,
        admission: &inside.admission,
    };
    let guest = EmailAddress::parse(email).expect("an address");
    let made = invitations::create(&change, actor, (&guest, Role::Viewer), post).await;
    made.expect("invited");
    app.mail_to(email).await.token().to_owned()
}
