//! Tests of declared codes that no other test causes. `scripts/lib/declared` finds these codes.

use hyper::Method;
use serde_json::json;

use crate::app::both;
use crate::ask::sql;
use crate::people::{claim, people};

both!(a_list_refuses_a_limit_that_is_none, async |app| {
    let ada = app.verified("ada@example.org").await;
    let (team, project) = (claim(&ada, "tid"), claim(&ada, "pid"));
    for list in [
        "members".to_owned(),
        "projects".to_owned(),
        "invitations".to_owned(),
        format!("projects/{project}/keys"),
    ] {
        let answer = ada.as_user().get(&format!("/api/teams/{team}/{list}?limit=0")).await;
        answer.expect_problem(422, "validation-failed");
    }
    for list in ["events", "invitations"] {
        let answer = ada.as_user().get(&format!("/api/me/{list}?limit=0")).await;
        answer.expect_problem(422, "validation-failed");
    }
});

both!(an_invitation_to_a_disabled_team_is_not_accepted_from_the_list, async |app| {
    let [ada, ben] = people(app, ["ada", "ben"]).await;
    let team = claim(&ada, "tid");
    ada.invite(&team, &ben.email, "viewer").await.expect(200);
    let mine = ben.as_user().get("/api/me/invitations").await.expect(200).json();
    let id = mine["items"][0]["id"].as_str().expect("an invitation").to_owned();
    sql(app, "UPDATE teams SET status = 'disabled'").await;
    let accept = format!("/api/me/invitations/{id}/accept");
    ben.as_user().post_json(&accept, json!({})).await.expect_problem(403, "forbidden");
});

both!(a_team_and_a_project_are_not_renamed_to_nothing, async |app| {
    let ada = app.verified("ada@example.org").await;
    let (team, project) = (claim(&ada, "tid"), claim(&ada, "pid"));
    for path in [format!("/api/teams/{team}"), format!("/api/teams/{team}/projects/{project}")] {
        let answer = ada.as_user().json(Method::PATCH, &path, json!({ "name": "" })).await;
        answer.expect_problem(422, "validation-failed");
        ada.as_user().get(&path).await.expect(200);
    }
});

both!(a_captcha_has_a_difficulty_that_is_a_number, async |app| {
    for difficulty in ["x", "0", "-1", "1.5", "99999999999"] {
        let answer = app.anonymous().get(&format!("/api/captcha?difficulty={difficulty}")).await;
        answer.expect_problem(422, "validation-failed");
    }
});

both!(
    an_invitation_by_somebody_who_may_invite_no_more_is_not_accepted_from_the_list,
    async |app| {
        let [ada, mut ben, cem] = people(app, ["ada", "ben", "cem"]).await;
        let team = claim(&ada, "tid");
        crate::people::join(app, &team, &ben, "admin").await;
        ben.switch(&team, json!({})).await.expect(200);
        ben.invite(&team, &cem.email, "viewer").await.expect(200);
        ada.set_role(&team, &ben, "viewer").await.expect(200);
        let mine = cem.as_user().get("/api/me/invitations").await.expect(200).json();
        let id = mine["items"][0]["id"].as_str().expect("an invitation").to_owned();
        let answer =
            cem.as_user().post_json(&format!("/api/me/invitations/{id}/accept"), json!({})).await;
        answer.expect_problem(409, "conflict");
        cem.as_user().get(&format!("/api/teams/{team}")).await.expect_problem(404, "not-found");
    }
);

both!(
    an_invitation_is_not_sent_again_beyond_the_teams_day,
    ["teams.invitations_per_day" = "1"],
    async |app| {
        let ada = app.verified("ada@example.org").await;
        let team = claim(&ada, "tid");
        let invited = ada.invite(&team, "ben@example.org", "viewer").await.expect(200).json();
        let id = invited["id"].as_str().expect("an id");
        let again = format!("/api/teams/{team}/invitations/{id}/resend");
        ada.as_user().post_json(&again, json!({})).await.expect_problem(409, "conflict");
    }
);
