//! Tests of the audit events of a team. Each change writes one event to the stream of the team. The
//! stream still exists after the team is deleted.

use std::time::Duration;

use hyper::Method;
use latchkey::audit::{Action, sweep};
use latchkey_entity::{audit_event, audit_identity, audit_stream};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde_json::{Value, json};

use super::{is_sound, rows};
use crate::app::{TestApp, both};
use crate::people::{claim, join, people};

/// Returns the action and the detail of each event of a team, in order.
pub async fn events(app: &TestApp, team: &str) -> Vec<(String, Value)> {
    let team: uuid::Uuid = team.parse().expect("an id");
    let stream = audit_stream::Entity::find()
        .filter(audit_stream::Column::TeamId.eq(team))
        .one(app.inside().db.reader())
        .await
        .expect("it is read");
    let Some(stream) = stream else { return Vec::new() };
    let mine = rows(app).await.into_iter().filter(|row| row.stream_id == stream.id);
    let told = |row: audit_event::Model| {
        (row.action, serde_json::from_str(&row.detail).expect("an object"))
    };
    mine.map(told).collect()
}

async fn actions(app: &TestApp, team: &str) -> Vec<String> {
    events(app, team).await.into_iter().map(|(action, _)| action).collect()
}

both!(every_change_of_a_team_is_recorded_in_its_stream, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let user = ada.as_user();
    let made = ada.make_team("Acme").await;
    let team = made["id"].as_str().expect("an id");
    let path = format!("/api/teams/{team}");
    let told = async |change: &str, wanted: &[&str]| {
        let (action, detail) = events(app, team).await.pop().expect("an event");
        assert_eq!(action, change);
        let names: Vec<&str> =
            detail.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, wanted, "{change}");
        is_sound(app).await;
        detail
    };
    told("team.created", &[]).await;
    user.json(Method::PATCH, &path, json!({ "name": "Acme Inc" })).await.expect(200);
    told("team.updated", &[]).await;

    let projects = format!("{path}/projects");
    let project = user.post_json(&projects, json!({ "name": "Two" })).await.expect(200).json();
    let project = format!("{projects}/{}", project["id"].as_str().expect("an id"));
    told("project.created", &["project"]).await;
    user.json(Method::PATCH, &project, json!({ "name": "Deux" })).await.expect(200);
    told("project.updated", &["project"]).await;
    let key = json!({ "name": "a program", "scopes": ["vault:read"] });
    let key = user.post_json(&format!("{project}/keys"), key).await.expect(200).json();
    told("project-key.created", &["key", "project"]).await;
    let key = format!("{project}/keys/{}", key["id"].as_str().expect("an id"));
    user.delete(&key).await.expect(204);
    told("project-key.revoked", &["key", "project"]).await;
    let mut there = ada.another_device().await;
    there.switch(team, json!({})).await.expect(200);
    let before = events(app, team).await.len();
    for _ in 0..2 {
        let token = [("token", there.vault_token.as_str())];
        app.anonymous().0.post_form("/api/revoke", &token).await.expect(200);
        told("token.revoked", &[]).await;
    }
    assert_eq!(events(app, team).await.len(), before + 1, "revoking again changes nothing");
    user.json(Method::DELETE, &project, json!({ "name": "Deux" })).await.expect(204);
    told("project.deleted", &["project"]).await;

    let invite = async || {
        let id = ada.invited(team, &bob.email, "member").await;
        told("invitation.created", &["invitation", "role"]).await;
        format!("{path}/invitations/{id}")
    };
    user.delete(&invite().await).await.expect(204);
    told("invitation.revoked", &["invitation"]).await;
    let declined = invite().await;
    user.bare(Method::POST, &format!("{declined}/resend")).await.expect(200);
    told("invitation.resent", &["invitation"]).await;
    let id = declined.rsplit('/').next().expect("an id");
    bob.as_user().delete(&format!("/api/me/invitations/{id}")).await.expect(204);
    told("invitation.declined", &["invitation"]).await;
    let mut epoch = 0;
    let mut raised = |detail: Value| {
        let next = detail["epoch"].as_i64().expect("a number");
        assert!(next > epoch, "{epoch}, then {next}");
        epoch = next;
    };
    let joins = async || {
        app.mails_to(&bob.email).await;
        let id = invite().await;
        let id = id.rsplit('/').next().expect("an id");
        let accept = format!("/api/me/invitations/{id}/accept");
        bob.as_user().bare(Method::POST, &accept).await.expect(200);
        told("invitation.accepted", &["epoch", "invitation", "role"]).await
    };
    raised(joins().await);
    ada.set_role(team, &bob, "viewer").await.expect(200);
    raised(told("member.role-changed", &["epoch", "from", "to"]).await);
    ada.remove_member(team, &bob).await.expect(204);
    raised(told("member.removed", &["epoch", "role"]).await);
    raised(joins().await);
    bob.remove_member(team, &bob).await.expect(204);
    raised(told("member.left", &["epoch", "role"]).await);

    user.json(Method::DELETE, &path, json!({ "name": "Acme Inc" })).await.expect(204);
    told("team.deleted", &[]).await;
    app.outbox_is_empty().await;
});

both!(each_team_of_whoever_deletes_their_account_is_told_what_became_of_it, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let id = |team: Value| team["id"].as_str().expect("an id").to_owned();
    let alone = [claim(&ada, "tid"), id(ada.make_team("Two").await)];
    let theirs = [claim(&bob, "tid"), id(bob.make_team("Three").await)];
    for team in &theirs {
        join(app, team, &ada, "member").await;
    }
    ada.leave().await.expect(204);
    for (teams, action) in [(alone, "team.deleted"), (theirs, "member.left")] {
        for team in teams {
            let (told, detail) = events(app, &team).await.pop().expect("an event");
            assert_eq!((told.as_str(), &detail["reason"]), (action, &json!("account-deleted")));
        }
    }
    is_sound(app).await;
});

both!(a_deleted_teams_stream_stays_until_its_retention_ends, async |app| {
    const KEPT: Duration = Duration::from_hours(400 * 24);
    let [mut ada] = people(app, ["ada"]).await;
    let team = ada.make_team("Acme").await["id"].as_str().expect("an id").to_owned();
    let body = json!({ "name": "Acme" });
    ada.as_user().json(Method::DELETE, &format!("/api/teams/{team}"), body).await.expect(204);
    let sweep_now = async || {
        let inside = app.inside();
        let kept = i64::try_from(KEPT.as_millis()).expect("it fits");
        sweep(&inside.db, &inside.audit, app.clock.now() - kept).await.expect("swept")
    };
    app.clock.advance(KEPT);
    sweep_now().await;
    assert_eq!(actions(app, &team).await, ["team.created", "team.deleted"]);
    is_sound(app).await;
    app.clock.advance(Duration::from_secs(1));
    ada.login().await.expect(200);
    let swept = sweep_now().await;
    assert_eq!((swept.broken, swept.streams), (0, 1), "the team that is gone, and no other");
    assert_eq!(actions(app, &team).await, Vec::<String>::new());
    is_sound(app).await;
});

both!(an_invitations_events_say_whom_it_is_for_and_the_chain_does_not, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let team = claim(&ada, "tid");
    let id = ada.invited(&team, "Zoe@Example.net", "member").await;
    let path = format!("/api/teams/{team}/invitations/{id}");
    ada.as_user().bare(Method::POST, &format!("{path}/resend")).await.expect(200);
    ada.as_user().delete(&path).await.expect(204);
    let identities = async || {
        let all = audit_identity::Entity::find().all(app.inside().db.reader()).await;
        let all = all.expect("read").into_iter();
        all.filter(|it| it.body.contains(r#""email":"Zoe@Example.net""#)).collect::<Vec<_>>()
    };
    let told = identities().await;
    let of = |row: &audit_event::Model| told.iter().any(|it| it.event_id == row.id);
    let named: Vec<String> = rows(app).await.into_iter().filter(of).map(|row| row.action).collect();
    assert_eq!(named, ["invitation.created", "invitation.resent", "invitation.revoked"]);
    assert!(rows(app).await.iter().all(|row| !row.detail.contains("Zoe")), "in no row");
    app.mails_to("Zoe@Example.net").await;
    ada.leave().await.expect(204);
    assert_eq!(identities().await, [], "it goes with who invited");
    is_sound(app).await;
});

/// Every documented action must be used somewhere in the code. The list of actions itself does not
/// count.
#[test]
fn every_action_is_recorded_somewhere() {
    fn read(directory: &std::path::Path, text: &mut String) {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                read(&path, text);
            } else if !path.ends_with("audit/action.rs") {
                text.push_str(&std::fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    let mut text = String::new();
    read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    for action in Action::ALL {
        assert!(text.contains(&format!("Action::{action:?}")), "nothing records {action:?}");
    }
}
