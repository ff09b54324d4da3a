//! Tests of the members of a team: the list, the roles, the removal, and how a member leaves.

use serde_json::{Value, json};

use crate::app::both;
use crate::ask::{at_once, broken_rules, count};
use crate::client::claims;
use crate::people::{claim, id_of, join, people};

both!(members_are_listed_in_the_order_of_joining, async |app| {
    let [ada, bob, eve] = people(app, ["ada", "bob", "eve"]).await;
    let team = claim(&ada, "tid");
    for person in [&bob, &eve] {
        app.clock.advance(std::time::Duration::from_millis(1));
        join(app, &team, person, "viewer").await;
    }
    let path = format!("/api/teams/{team}/members");
    let page = eve.as_user().get(&format!("{path}?limit=2")).await.expect(200).json();
    let names: Vec<&str> =
        page["items"][0].as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["email", "epoch", "joinedAt", "name", "role", "userId"]);
    let ids: Vec<Value> =
        page["items"].as_array().expect("a list").iter().map(|it| it["userId"].clone()).collect();
    assert_eq!(ids, [json!(id_of(&ada)), json!(id_of(&bob))]);
    let next = page["next"].as_str().expect("there is more");
    let rest = eve.as_user().get(&format!("{path}?limit=2&cursor={next}")).await.json();
    assert_eq!(rest["items"][0]["email"], json!(eve.email));
    assert_eq!((rest["items"].as_array().map(Vec::len), &rest["next"]), (Some(1), &Value::Null));
});

both!(a_role_that_changes_is_in_the_next_tokens_with_a_new_epoch, async |app| {
    let [ada, mut bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "viewer").await;
    bob.switch(&team, json!({})).await.expect(200);
    assert_eq!(
        (claim(&bob, "scope"), claims(&bob.vault_token)["mep"].clone()),
        ("vault:read".to_owned(), json!(0))
    );
    let changed = ada.set_role(&team, &bob, "admin").await.expect(200).json();
    assert_eq!(changed["role"], "admin");
    let epoch = changed["epoch"].as_i64().expect("a number");
    assert!(epoch > 0, "{changed}");
    // If a member already has this role, the request changes nothing.
    let same = ada.set_role(&team, &bob, "admin").await.expect(200).json();
    assert_eq!(same, changed);
    bob.refresh().await.expect(200);
    assert_eq!(claim(&bob, "scope"), "vault:read vault:write vault:manage");
    assert_eq!(claims(&bob.vault_token)["mep"], json!(epoch));
    let answer = ada.set_role(&team, &bob, "boss").await;
    assert_eq!(broken_rules(&answer), [("/role".to_owned(), "unknown".to_owned())]);
});

both!(nobody_gives_more_than_they_have_or_touches_who_is_above, async |app| {
    let [ada, bob, eve, kim] = people(app, ["ada", "bob", "eve", "kim"]).await;
    let team = claim(&ada, "tid");
    for (person, role) in [(&bob, "admin"), (&eve, "admin"), (&kim, "member")] {
        join(app, &team, person, role).await;
    }
    bob.set_role(&team, &kim, "owner").await.expect_problem(403, "forbidden");
    bob.set_role(&team, &bob, "owner").await.expect_problem(403, "forbidden");
    bob.set_role(&team, &ada, "viewer").await.expect_problem(403, "forbidden");
    bob.remove_member(&team, &ada).await.expect_problem(403, "forbidden");
    kim.set_role(&team, &kim, "admin").await.expect_problem(403, "forbidden");
    kim.remove_member(&team, &bob).await.expect_problem(403, "forbidden");
    // A member can change the role of another member with the same role, and their own role.
    bob.set_role(&team, &eve, "member").await.expect(200);
    bob.set_role(&team, &kim, "admin").await.expect(200);
    bob.set_role(&team, &bob, "viewer").await.expect(200);
    bob.set_role(&team, &bob, "admin").await.expect_problem(403, "forbidden");
});

both!(who_is_removed_is_out_at_once_and_goes_on_elsewhere, async |app| {
    let [ada, mut bob] = people(app, ["ada", "bob"]).await;
    let (team, own) = (claim(&ada, "tid"), claim(&bob, "tid"));
    join(app, &team, &bob, "admin").await;
    bob.switch(&team, json!({})).await.expect(200);
    ada.remove_member(&team, &bob).await.expect(204);
    bob.as_user().get(&format!("/api/teams/{team}")).await.expect_problem(404, "not-found");
    assert_eq!(bob.me().await.expect(200).json()["team"]["id"], json!(own));
    bob.refresh().await.expect(200);
    assert_eq!(claim(&bob, "tid"), own);
    ada.remove_member(&team, &bob).await.expect_problem(404, "not-found");
});

both!(who_comes_back_does_not_bring_tokens_of_before_back, async |app| {
    let [ada, mut bob] = people(app, ["ada", "bob"]).await;
    let (team, server) = (claim(&ada, "tid"), ada.make_key(&["vault:read"]).await);
    let is_active = async |token: &str| {
        let answer = server.client(app).post_form("/api/introspect", &[("token", token)]).await;
        answer.expect(200).json()["active"].as_bool().expect("a word")
    };
    let (mut tokens, mut epochs) = (Vec::<String>::new(), Vec::new());
    // In each round Bob joins with the same role and the same timestamp, because the clock stands
    // still. A change of the role during a round must also raise the epoch.
    for round in 0..3 {
        ada.invited(&team, &bob.email, "member").await;
        bob.accept(app.mail_to(&bob.email).await.token()).await.expect(200);
        for role in ["viewer", "member"].iter().take(round) {
            ada.set_role(&team, &bob, role).await.expect(200);
        }
        ada.set_role(&team, &bob, "member").await.expect(200);
        bob.switch(&team, json!({})).await.expect(200);
        assert!(is_active(&bob.vault_token).await);
        for before in &tokens {
            assert!(!is_active(before).await, "round {round}: revoked stays revoked");
        }
        let listed = ada.as_user().get(&format!("/api/teams/{team}/members")).await.json();
        let epoch = claims(&bob.vault_token)["mep"].as_i64().expect("a number");
        let mut members = listed["items"].as_array().expect("a list").iter();
        let bobs = members.find(|it| it["userId"] == json!(id_of(&bob))).expect("a member");
        assert_eq!(bobs["epoch"], json!(epoch));
        assert!(epochs.iter().all(|before| *before < epoch), "{epochs:?}, then {epoch}");
        tokens.push(bob.vault_token.clone());
        epochs.push(epoch);
        let who = if round == 1 { &bob } else { &ada };
        who.remove_member(&team, &bob).await.expect(204);
        assert!(!is_active(&bob.vault_token).await);
    }
});

both!(everybody_may_leave_but_the_last_owner, async |app| {
    let [ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "viewer").await;
    ada.remove_member(&team, &ada).await.expect_problem(409, "conflict");
    ada.set_role(&team, &ada, "admin").await.expect_problem(409, "conflict");
    bob.remove_member(&team, &bob).await.expect(204);
    bob.as_user().get(&format!("/api/teams/{team}")).await.expect_problem(404, "not-found");
});

both!(of_owners_who_step_down_at_once_one_stays, async |app| {
    let [ada, bob, eve] = people(app, ["ada", "bob", "eve"]).await;
    let team = claim(&ada, "tid");
    for person in [&bob, &eve] {
        join(app, &team, person, "owner").await;
    }
    let owners = [&ada, &bob, &eve];
    for round in 0..6 {
        // All owners lose their role at the same time. Each owner changes either their own role or
        // the role of the next owner.
        let answers = at_once(3, async |turn| match (turn + round) % 3 {
            0 => owners[turn].set_role(&team, owners[turn], "admin").await,
            1 => owners[turn].set_role(&team, owners[(turn + 1) % 3], "admin").await,
            _ => owners[turn].set_role(&team, owners[turn], "viewer").await,
        })
        .await;
        assert!(answers.iter().all(|it| [200, 403, 409].contains(&it.status)), "{answers:#?}");
        let mut staying = Vec::new();
        let members = ada.as_user().get(&format!("/api/teams/{team}/members")).await.json();
        for member in members["items"].as_array().expect("a list") {
            if member["role"] == "owner" {
                staying.push(member["userId"].clone());
            }
        }
        assert!(!staying.is_empty(), "round {round}: {answers:#?}");
        let owner = owners.into_iter().find(|it| staying.contains(&json!(id_of(it))));
        let owner = owner.expect("one of the three");
        for person in owners {
            owner.set_role(&team, person, "owner").await.expect(200);
        }
    }
    let left = at_once(3, async |turn| owners[turn].remove_member(&team, owners[turn]).await).await;
    assert_eq!((count(&left, 204), count(&left, 409)), (2, 1), "{left:#?}");
});

both!(of_two_owners_who_delete_their_accounts_at_once_one_stays, async |app| {
    let [ada, bob, eve] = people(app, ["ada", "bob", "eve"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "owner").await;
    join(app, &team, &eve, "member").await;
    let owners = [&ada, &bob];
    let left = at_once(2, async |turn| owners[turn].leave().await).await;
    assert_eq!((count(&left, 204), count(&left, 409)), (1, 1), "{left:#?}");
});

both!(what_a_switch_and_a_page_of_members_cost, async |app| {
    let [mut ada, bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "member").await;
    let path = format!("/api/teams/{team}/projects");
    let project =
        ada.as_user().post_json(&path, json!({ "name": "Two" })).await.json()["id"].clone();
    app.outbox_is_empty().await;
    let db = &app.inside().db;
    // The embedded token store is a table of the same database. The documented numbers of
    // statements do not include its statements.
    let is_embedded = u64::from(!db.is_postgres());
    let before = db.statements();
    ada.as_user().get(&format!("/api/teams/{team}/members")).await.expect(200);
    assert_eq!(db.statements() - before, 2 + is_embedded, "a page of members");
    let before = db.statements();
    ada.switch(&team, json!({})).await.expect(200);
    assert_eq!(db.statements() - before, 2 + 3 * is_embedded, "a switch");
    let before = db.statements();
    ada.switch(&team, json!({ "projectId": project })).await.expect(200);
    assert_eq!(db.statements() - before, 3 + 3 * is_embedded, "a switch to a project");
});
