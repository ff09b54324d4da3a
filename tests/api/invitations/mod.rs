//! Tests of invitations. latchkey sends them by mail, and only a user who has confirmed the invited
//! email address can accept them.

mod leaving;
mod registration;
mod rules;

use std::time::Duration;

use hyper::Method;
use latchkey::secret::sha256;
use latchkey::team::invitations;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{PUBLIC_URL, both};
use crate::ask::{alike, at_once, broken_rules, count};
use crate::people::{claim, id_of, people};

const DAY: Duration = Duration::from_hours(24);

both!(an_invitation_is_mailed_and_makes_whoever_has_the_address_a_member, async |app| {
    let [ada, mut bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    let made = ada.invite(&team, "Bob@EXAMPLE.org", "member").await.expect(200).json();
    let names: Vec<&str> =
        made.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["createdAt", "email", "expiresAt", "id", "invitedBy", "role"]);
    let week = latchkey::clock::rfc3339(app.clock.now() + 7 * 24 * 3_600_000);
    assert_eq!((&made["expiresAt"], &made["invitedBy"]), (&json!(week), &json!(id_of(&ada))));
    let mail = app.mail_to("Bob@example.org").await;
    let link = format!("{PUBLIC_URL}/invitation?token={}", mail.token());
    assert_eq!(mail.link.as_deref(), Some(link.as_str()));
    assert!(mail.text.contains("ada@example.org invites you to the team"), "{}", mail.text);
    assert!(mail.text.contains("member") && mail.text.contains("7 days"), "{}", mail.text);
    assert!(mail.html.contains(&link), "{}", mail.html);
    for part in [&mail.text, &mail.html] {
        assert!(!part.contains("127.0.0.1"), "the inviter's machine is theirs: {part}");
    }
    let joined = bob.accept(mail.token()).await.expect(200).json();
    assert_eq!((&joined["id"], &joined["role"]), (&json!(team), &json!("member")));
    bob.switch(&team, json!({})).await.expect(200);
    assert_eq!(claim(&bob, "scope"), "vault:read vault:write");
    let list = ada.as_user().get(&format!("/api/teams/{team}/invitations")).await.json();
    assert_eq!(list, json!({ "items": [], "next": null }));
    bob.accept(mail.token()).await.expect_problem(400, "token-invalid");
    ada.invite(&team, "bob@example.org", "admin").await.expect_problem(409, "conflict");
});

both!(of_fifty_acceptances_at_once_one_makes_a_member, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    let id = ada.invited(&team, &bob.email, "viewer").await;
    let mail = app.mail_to(&bob.email).await;
    let by_id = format!("/api/me/invitations/{id}/accept");
    let answers = at_once(50, async |turn| match turn % 2 {
        0 => bob.accept(mail.token()).await,
        _ => bob.as_user().bare(Method::POST, &by_id).await,
    })
    .await;
    assert_eq!(count(&answers, 200), 1, "{answers:#?}");
    let others = answers.iter().filter(|answer| answer.status != 200);
    for other in others {
        let code = other.problem_code();
        assert!(code == "token-invalid" || code == "not-found", "{code}");
    }
    let members = ada.as_user().get(&format!("/api/teams/{team}/members")).await.json();
    assert_eq!(members["items"].as_array().map(Vec::len), Some(2));
});

both!(an_address_is_answered_alike_whether_it_has_an_account_or_not, async |app| {
    let [ada, known] = people(app, ["ada", "known"]).await;
    let unproven = app.register("young@example.org").await;
    app.mail_to(&unproven.email).await;
    let team = claim(&ada, "tid");
    let mut seen = Vec::new();
    for email in [known.email.as_str(), "other@example.org", &unproven.email] {
        let mut answer = ada.invite(&team, email, "member").await.expect(200);
        let mut body: Value = answer.json();
        for name in ["id", "email"] {
            assert!(body[name].is_string());
            body[name] = Value::Null;
        }
        answer.body = body.to_string().into();
        answer.headers.remove("content-length");
        let mail = app.mail_to(email).await;
        let text = mail.text.replace(mail.token(), "").replace(email, "");
        seen.push((alike(&answer), mail.subject, text));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
});

both!(somebody_who_registers_by_the_invited_address_accepts_after_the_proof, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let team = claim(&ada, "tid");
    let id = ada.invited(&team, "new@example.org", "admin").await;
    let invitation = app.mail_to("new@example.org").await;
    let mut new = app.register("NEW@example.org").await;
    new.accept(invitation.token()).await.expect_problem(403, "email-unverified");
    new.as_user().get("/api/me/invitations").await.expect_problem(403, "email-unverified");
    let confirmation = app.mail_to("NEW@example.org").await;
    new.verify(confirmation.token()).await.expect(200);
    let offers = new.as_user().get("/api/me/invitations").await.expect(200).json();
    let offer = &offers["items"][0];
    assert_eq!((&offer["id"], &offer["teamId"]), (&json!(id), &json!(team)));
    assert_eq!((&offer["role"], &offer["inviterEmail"]), (&json!("admin"), &json!(ada.email)));
    new.accept(invitation.token()).await.expect(200);
    let offers = new.as_user().get("/api/me/invitations").await.expect(200).json();
    assert_eq!(offers["items"], json!([]));
});

both!(nobody_accepts_for_another_address, async |app| {
    let [ada, bob, eve] = people(app, ["ada", "bob", "eve"]).await;
    let team = claim(&ada, "tid");
    let id = ada.invited(&team, &bob.email, "member").await;
    let mail = app.mail_to(&bob.email).await;
    eve.accept(mail.token()).await.expect_problem(403, "other-address");
    let path = format!("/api/me/invitations/{id}");
    let join = format!("{path}/accept");
    eve.as_user().bare(Method::POST, &join).await.expect_problem(404, "not-found");
    eve.as_user().delete(&path).await.expect_problem(404, "not-found");
    assert_eq!(eve.as_user().get("/api/me/invitations").await.json()["items"], json!([]));
    eve.accept("nonsense").await.expect_problem(400, "token-invalid");
    assert_eq!(
        broken_rules(&eve.as_user().post_json("/api/invitations/accept", json!({})).await),
        [("/token".to_owned(), "required".to_owned())]
    );
    bob.as_user().bare(Method::POST, &join).await.expect(200);
});

both!(an_invitation_lives_for_a_week_and_can_be_sent_again, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    let id = ada.invited(&team, &bob.email, "member").await;
    let old = app.mail_to(&bob.email).await;
    app.clock.advance(DAY * 7);
    let (mut ada, mut bob) = (ada.clone(), bob.clone());
    ada.login().await.expect(200);
    bob.login().await.expect(200);
    bob.accept(old.token()).await.expect_problem(400, "token-invalid");
    assert_eq!(bob.as_user().get("/api/me/invitations").await.json()["items"], json!([]));
    let list = format!("/api/teams/{team}/invitations");
    assert_eq!(ada.as_user().get(&list).await.json()["items"][0]["id"], json!(id));
    let resend = format!("{list}/{id}/resend");
    ada.as_user().bare(Method::POST, &resend).await.expect(200);
    let first = app.mail_to(&bob.email).await;
    ada.as_user().bare(Method::POST, &resend).await.expect(200);
    let second = app.mail_to(&bob.email).await;
    assert_ne!(first.token(), second.token());
    for dead in [old, first] {
        bob.accept(dead.token()).await.expect_problem(400, "token-invalid");
    }
    bob.accept(second.token()).await.expect(200);
});

both!(inviting_again_replaces_link_and_role, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    let first = ada.invited(&team, &bob.email, "admin").await;
    let old = app.mail_to(&bob.email).await;
    let second = ada.invited(&team, "BOB@example.org", "viewer").await;
    assert_eq!(first, second);
    let new = app.mail_to("BOB@example.org").await;
    bob.accept(old.token()).await.expect_problem(400, "token-invalid");
    let joined = bob.accept(new.token()).await.expect(200).json();
    assert_eq!(joined["role"], "viewer");
});

both!(two_teams_invite_one_address, async |app| {
    let [ada, eve, bob] = people(app, ["ada", "eve", "bob"]).await;
    for host in [&ada, &eve] {
        host.invited(&claim(host, "tid"), &bob.email, "member").await;
        app.clock.advance(Duration::from_millis(1));
    }
    let page = bob.as_user().get("/api/me/invitations?limit=1").await.expect(200).json();
    assert_eq!(page["items"][0]["teamId"], json!(claim(&ada, "tid")));
    let next = page["next"].as_str().expect("there is more");
    let path = format!("/api/me/invitations?limit=1&cursor={next}");
    let rest = bob.as_user().get(&path).await.json();
    assert_eq!(
        (&rest["items"][0]["teamId"], &rest["next"]),
        (&json!(claim(&eve, "tid")), &Value::Null)
    );
    let (one, two) = (app.mail_to(&bob.email).await, app.mail_to(&bob.email).await);
    let answers = at_once(2, async |turn| bob.accept([&one, &two][turn].token()).await).await;
    assert_eq!(count(&answers, 200), 2, "{answers:#?}");
});

both!(a_revoked_or_declined_invitation_is_dead, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    let list = format!("/api/teams/{team}/invitations");
    let id = ada.invited(&team, &bob.email, "member").await;
    let mail = app.mail_to(&bob.email).await;
    ada.as_user().delete(&format!("{list}/{id}")).await.expect(204);
    ada.as_user().delete(&format!("{list}/{id}")).await.expect_problem(404, "not-found");
    bob.accept(mail.token()).await.expect_problem(400, "token-invalid");
    let id = ada.invited(&team, &bob.email, "member").await;
    let mail = app.mail_to(&bob.email).await;
    bob.as_user().delete(&format!("/api/me/invitations/{id}")).await.expect(204);
    bob.accept(mail.token()).await.expect_problem(400, "token-invalid");
    assert_eq!(ada.as_user().get(&list).await.json()["items"], json!([]));
});

both!(only_a_digest_is_kept, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let team = claim(&ada, "tid");
    ada.invited(&team, "x@example.org", "viewer").await;
    let mail = app.mail_to("x@example.org").await;
    let (db, team) = (&app.inside().db, team.parse().expect("an id"));
    let rows = invitations::list(db, team, Uuid::nil(), 9).await;
    let rows = rows.expect("listed");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].digest, sha256(mail.token().as_bytes()));
    assert!(!format!("{rows:?}").contains(mail.token()));
});

both!(what_expired_long_ago_is_swept, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let team = claim(&ada, "tid");
    ada.invited(&team, "x@example.org", "viewer").await;
    let (db, team) = (&app.inside().db, team.parse().expect("an id"));
    for (days, left) in [(36, 1), (38, 0)] {
        let now = app.clock.now() + days * 24 * 3_600_000;
        invitations::sweep(db, now).await.expect("swept");
        let rows = invitations::list(db, team, Uuid::nil(), 9).await;
        assert_eq!(rows.expect("listed").len(), left, "after {days} days");
    }
});

both!(what_becomes_of_invitations_is_in_the_teams_audit, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    let list = format!("/api/teams/{team}/invitations");
    let gone = ada.invited(&team, "x@example.org", "viewer").await;
    ada.as_user().bare(Method::POST, &format!("{list}/{gone}/resend")).await.expect(200);
    ada.as_user().delete(&format!("{list}/{gone}")).await.expect(204);
    let id = ada.invited(&team, &bob.email, "viewer").await;
    bob.as_user().delete(&format!("/api/me/invitations/{id}")).await.expect(204);
    let id = ada.invited(&team, &bob.email, "viewer").await;
    bob.as_user().bare(Method::POST, &format!("/api/me/invitations/{id}/accept")).await.expect(200);
    let events = crate::audit::rows(app).await;
    let metrics = app.admin().get("/metrics").await.expect(200).text();
    for (what, times) in
        [("created", 3), ("resent", 1), ("revoked", 1), ("declined", 1), ("accepted", 1)]
    {
        let action = format!("invitation.{what}");
        let found: Vec<_> = events.iter().filter(|event| event.action == action).collect();
        assert_eq!(found.len(), times, "{action}");
        assert!(found.iter().all(|event| event.detail.contains("\"invitation\":")), "{action}");
        assert!(metrics.contains(&format!("change=\"invitation_{what}\"")), "{action}");
    }
});

both!(a_teams_name_is_no_way_to_mail_a_link, async |app| {
    let [ada] = people(app, ["ada"]).await;
    for (name, is_told) in [
        ("Bring me to evil.example", false),
        ("https://evil", false),
        ("Acme Inc. & <b>Sons", true),
    ] {
        let team = ada.make_team(name).await["id"].as_str().expect("an id").to_owned();
        ada.invited(&team, "x@example.org", "viewer").await;
        let mail = app.mail_to("x@example.org").await;
        assert_eq!(mail.text.contains(name), is_told, "{}", mail.text);
        assert!(!mail.html.contains("evil") && !mail.html.contains("<b>"), "{}", mail.html);
        assert!(!mail.subject.contains("Acme"), "{}", mail.subject);
    }
});
