//! Tests of which members are allowed to invite, and how many users. The cases are roles, lost
//! rights, disabled teams, deleted teams, teams with the maximum number of members, and the number
//! of mails per day.

use std::time::Duration;

use hyper::Method;
use serde_json::json;

use super::DAY;
use crate::app::both;
use crate::ask::{at_once, broken_rules, count, sql};
use crate::people::{claim, join, people};

both!(nobody_invites_above_their_own_role, async |app| {
    let [ada, bob, eve] = people(app, ["ada", "bob", "eve"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "admin").await;
    join(app, &team, &eve, "member").await;
    bob.invite(&team, "x@example.org", "owner").await.expect_problem(403, "forbidden");
    eve.invite(&team, "x@example.org", "viewer").await.expect_problem(403, "forbidden");
    let id = ada.invited(&team, "x@example.org", "owner").await;
    let path = format!("/api/teams/{team}/invitations/{id}");
    bob.as_user().delete(&path).await.expect_problem(403, "forbidden");
    let resend = format!("{path}/resend");
    bob.as_user().bare(Method::POST, &resend).await.expect_problem(403, "forbidden");
    bob.invite(&team, "x@example.org", "viewer").await.expect_problem(403, "forbidden");
    bob.invited(&team, "y@example.org", "admin").await;
    let body = json!({ "email": "x", "role": "boss" });
    let answer = ada.as_user().post_json(&format!("/api/teams/{team}/invitations"), body).await;
    let rule = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
    assert_eq!(broken_rules(&answer), [rule("/email", "format"), rule("/role", "unknown")]);
});

both!(an_inviter_who_lost_the_right_has_invited_nobody, async |app| {
    let [ada, bob, eve] = people(app, ["ada", "bob", "eve"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "admin").await;
    let id = bob.invited(&team, &eve.email, "admin").await;
    let mail = app.mail_to(&eve.email).await;
    let refused = async || {
        let answer = eve.accept(mail.token()).await.expect_problem(409, "conflict");
        assert!(answer.text().contains("The inviter may no longer invite"), "{}", answer.text());
    };
    ada.set_role(&team, &bob, "member").await.expect(200);
    refused().await;
    ada.set_role(&team, &bob, "admin").await.expect(200);
    sql(app, "UPDATE users SET status = 'disabled' WHERE email = 'bob@example.org'").await;
    refused().await;
    sql(app, "UPDATE users SET status = 'active' WHERE email = 'bob@example.org'").await;
    ada.remove_member(&team, &bob).await.expect(204);
    refused().await;
    bob.leave().await.expect(204);
    refused().await;
    // Another member with the right to invite can send the invitation again in their own name.
    let resend = format!("/api/teams/{team}/invitations/{id}/resend");
    ada.as_user().bare(Method::POST, &resend).await.expect(200);
    eve.accept(app.mail_to(&eve.email).await.token()).await.expect(200);
});

both!(a_team_that_is_disabled_or_deleted_takes_nobody, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    let id = ada.invited(&team, &bob.email, "member").await;
    let mail = app.mail_to(&bob.email).await;
    sql(app, "UPDATE teams SET status = 'disabled'").await;
    bob.accept(mail.token()).await.expect_problem(403, "forbidden");
    assert_eq!(bob.as_user().get("/api/me/invitations").await.json()["items"], json!([]));
    ada.invite(&team, "x@example.org", "viewer").await.expect_problem(403, "forbidden");
    sql(app, "UPDATE teams SET status = 'active'").await;
    let shown = ada.as_user().get(&format!("/api/teams/{team}")).await.json();
    let (path, name) = (format!("/api/teams/{team}"), json!({ "name": shown["name"] }));
    ada.as_user().json(Method::DELETE, &path, name).await.expect(204);
    bob.accept(mail.token()).await.expect_problem(400, "token-invalid");
    let path = format!("/api/me/invitations/{id}/accept");
    bob.as_user().bare(Method::POST, &path).await.expect_problem(404, "not-found");
});

both!(a_full_team_invites_and_takes_nobody, ["teams.members_max" = "2"], async |app| {
    let [ada, bob, eve] = people(app, ["ada", "bob", "eve"]).await;
    let team = claim(&ada, "tid");
    ada.invited(&team, &bob.email, "member").await;
    let mail = app.mail_to(&bob.email).await;
    let full = ada.invite(&team, "x@example.org", "viewer").await.expect_problem(409, "conflict");
    assert!(full.text().contains("1 open invitations"), "{}", full.text());
    join(app, &team, &eve, "member").await;
    bob.accept(mail.token()).await.expect_problem(409, "conflict");
    ada.remove_member(&team, &eve).await.expect(204);
    bob.accept(mail.token()).await.expect(200);
});

both!(of_two_acceptances_for_one_place_one_succeeds, ["teams.members_max" = "3"], async |app| {
    let [ada, bob, eve, kim] = people(app, ["ada", "bob", "eve", "kim"]).await;
    let team = claim(&ada, "tid");
    let mut tokens = Vec::new();
    for guest in [&bob, &eve] {
        ada.invited(&team, &guest.email, "member").await;
        tokens.push(app.mail_to(&guest.email).await);
    }
    join(app, &team, &kim, "viewer").await;
    let answers =
        at_once(2, async |turn| [&bob, &eve][turn].accept(tokens[turn].token()).await).await;
    assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 1), "{answers:#?}");
});

both!(nobody_joins_more_teams_than_they_may, ["teams.max_per_user" = "1"], async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    ada.invited(&claim(&ada, "tid"), &bob.email, "member").await;
    let token = app.mail_to(&bob.email).await;
    bob.accept(token.token()).await.expect_problem(409, "conflict");
});

both!(a_team_mails_so_many_invitations_a_day, ["teams.invitations_per_day" = "2"], async |app| {
    let [ada] = people(app, ["ada"]).await;
    // The test moves the clock to the first moment of a day.
    let day = 24 * 3_600_000;
    let rest = u64::try_from(day - app.clock.now().rem_euclid(day)).expect("positive");
    app.clock.advance(Duration::from_millis(rest));
    let mut ada = ada.clone();
    ada.login().await.expect(200);
    let team = claim(&ada, "tid");
    let id = ada.invited(&team, "one@example.org", "viewer").await;
    let resend = format!("/api/teams/{team}/invitations/{id}/resend");
    ada.as_user().bare(Method::POST, &resend).await.expect(200);
    let over = ada.invite(&team, "two@example.org", "viewer").await.expect_problem(409, "conflict");
    assert!(over.text().contains("2 invitations today"), "{}", over.text());
    app.no_mail_to("two@example.org").await;
    app.clock.advance(DAY);
    ada.login().await.expect(200);
    ada.invited(&team, "two@example.org", "viewer").await;
});

both!(
    who_deletes_a_team_and_makes_another_mails_no_more_than_their_day,
    ["rate_limit.enabled" = "true", "teams.invitations_per_day" = "2"],
    async |app| {
        let [ada, bob] = people(app, ["ada", "bob"]).await;
        let mut other = String::new();
        for turn in 0..2 {
            let name = format!("Team {turn}");
            let team = ada.make_team(&name).await["id"].as_str().expect("an id").to_owned();
            let path = format!("/api/teams/{team}");
            ada.invite(&team, &format!("{turn}@example.com"), "viewer").await.expect(200);
            ada.as_user().json(Method::DELETE, &path, json!({ "name": name })).await.expect(204);
            let acme = ada.make_team("Acme").await;
            acme["id"].as_str().expect("an id").clone_into(&mut other);
        }
        let over = ada.invite(&other, "over@example.com", "viewer").await;
        assert!(over.header("retry-after").is_some(), "{}", over.text());
        over.expect_problem(429, "rate-limited");
        app.no_mail_to("over@example.com").await;
        // The budget belongs to the user and not to the team. So Bob still has his budget. After
        // half a day Ada has the budget for one invitation again.
        join(app, &other, &bob, "admin").await;
        bob.invite(&other, "over@example.com", "viewer").await.expect(200);
        app.clock.advance(DAY / 2);
        let mut ada = ada.clone();
        ada.login().await.expect(200);
        ada.invite(&other, "two@example.com", "viewer").await.expect(200);
    }
);

both!(
    what_is_refused_spends_nothing_of_a_mailbox,
    ["rate_limit.enabled" = "true", "teams.members_max" = "4"],
    async |app| {
        let [ada, bob, eve] = people(app, ["ada", "bob", "eve"]).await;
        let (team, hers) = (claim(&ada, "tid"), claim(&eve, "tid"));
        join(app, &team, &bob, "admin").await;
        join(app, &team, &eve, "viewer").await;
        // A refusal uses up no part of the budget of an email address. The test causes more
        // refusals than this budget has mails. The reasons are the address of a member, a role
        // above the inviter's own role, and a team that has the maximum number of members.
        for _ in 0..7 {
            ada.invite(&team, &bob.email, "viewer").await.expect_problem(409, "conflict");
            bob.invite(&team, "kim@example.com", "owner").await.expect_problem(403, "forbidden");
        }
        let id = ada.invited(&team, "kim@example.com", "owner").await;
        let resend = format!("/api/teams/{team}/invitations/{id}/resend");
        for _ in 0..7 {
            bob.as_user().bare(Method::POST, &resend).await.expect_problem(403, "forbidden");
            bob.invite(&team, "kim@example.com", "viewer").await.expect_problem(403, "forbidden");
            bob.invite(&team, "lea@example.com", "viewer").await.expect_problem(409, "conflict");
        }
        for _ in 0..5 {
            eve.invite(&hers, "kim@example.com", "viewer").await.expect(200);
        }
        eve.invite(&hers, "kim@example.com", "viewer").await.expect_problem(429, "rate-limited");
        for guest in [&bob.email, "lea@example.com"] {
            eve.invite(&hers, guest, "viewer").await.expect(200);
        }
    }
);

both!(
    an_invitation_that_the_mailbox_refuses_costs_the_inviter_nothing,
    ["rate_limit.enabled" = "true", "teams.invitations_per_day" = "8"],
    async |app| {
        let [ada] = people(app, ["ada"]).await;
        let team = claim(&ada, "tid");
        for _ in 0..6 {
            ada.invited(&team, "full@example.org", "viewer").await;
        }
        for _ in 0..5 {
            let refused = ada.invite(&team, "full@example.org", "viewer").await;
            refused.expect_problem(429, "rate-limited");
        }
        ada.invited(&team, "one@example.org", "viewer").await;
        ada.invited(&team, "two@example.org", "viewer").await;
    }
);

both!(a_mailbox_gets_so_many_invitations, ["rate_limit.enabled" = "true"], async |app| {
    let [ada] = people(app, ["ada"]).await;
    let team = claim(&ada, "tid");
    for _ in 0..6 {
        ada.invite(&team, "known@example.org", "viewer").await.expect(200);
    }
    let over = ada.invite(&team, "known@example.org", "viewer").await;
    assert!(over.header("retry-after").is_some(), "{}", over.text());
    over.expect_problem(429, "rate-limited");
    // The budget of this address for invitations affects neither other addresses nor other mails to
    // this address.
    ada.invite(&team, "other@example.org", "viewer").await.expect(200);
    app.outbox_is_empty().await;
    let before = app.mails_to("known@example.org").await.len();
    app.anonymous().register("known@example.org", "correct horse battery", "K").await.expect(200);
    app.outbox_is_empty().await;
    assert_eq!(app.mails_to("known@example.org").await.len(), before + 1);
});

both!(
    of_invitations_at_once_as_many_are_made_as_there_is_room_for,
    ["teams.members_max" = "3"],
    async |app| {
        let [ada] = people(app, ["ada"]).await;
        let team = claim(&ada, "tid");
        let invite =
            async |turn| ada.invite(&team, &format!("g{turn}@example.org"), "viewer").await;
        let answers = at_once(6, invite).await;
        assert_eq!((count(&answers, 200), count(&answers, 409)), (2, 4), "{answers:#?}");
        // A second invitation of the same email address is not counted again. An expired invitation
        // is no longer counted.
        let again = answers.iter().position(|answer| answer.status == 200).expect("one of two");
        invite(again).await.expect(200);
        app.clock.advance(Duration::from_hours(7 * 24));
        let mut ada = ada.clone();
        ada.login().await.expect(200);
        ada.invite(&team, "late@example.org", "viewer").await.expect(200);
    }
);
