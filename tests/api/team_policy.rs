//! Tests of the team policy `requireFactor`: what a session below `aal2` can still do in a team
//! that requires a second factor, and where the level of a session is shown.

use std::time::Duration;

use hyper::Method;
use latchkey::http::router::{Handler, ROUTES};
use latchkey::team::Permission;
use serde_json::{Value, json};

use crate::app::{TestApp, both};
use crate::ask::broken_rules;
use crate::audit::tenancy::events;
use crate::client::{Answer, Person, claims};
use crate::introspection::{introspect, is_active, is_inactive};
use crate::people::{claim, id_of, join, people};

/// The setting `sessions.fresh_for`, and one minute more.
const STALE: Duration = Duration::from_mins(16);

/// Returns the code that an authenticator app with this secret shows now.
fn code(app: &TestApp, secret: &str) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).expect("base32");
    let totp = totp_rs::Builder::new().with_secret(secret).build_noncompliant();
    totp.generate(app.clock.now().div_euclid(1000).try_into().expect("after 1970")).to_string()
}

/// Adds the first factor in a new session with a password. Returns the secret of the app.
async fn add_factor(app: &TestApp, person: &mut Person) -> String {
    person.login().await.expect(200);
    add_factor_here(app, person).await
}

/// Adds the first factor in the user's session.
async fn add_factor_here(app: &TestApp, person: &mut Person) -> String {
    let user = person.as_user();
    let made = user.post_json("/api/me/factors/totp", json!({ "name": "Phone" })).await;
    let made = made.expect(201).json();
    let (id, secret) = (made["id"].as_str().expect("an id"), made["secret"].as_str());
    let secret = secret.expect("a secret").to_owned();
    let confirm = format!("/api/me/factors/{id}/confirm");
    let body = json!({ "code": code(app, &secret) });
    person.keep(user.post_json(&confirm, body).await.expect(200).tokens());
    secret
}

/// Proves the second factor again, with the code of a later time step.
async fn step_up(app: &TestApp, person: &mut Person, secret: &str) {
    app.clock.advance(Duration::from_secs(30));
    let body = json!({ "method": "totp", "code": code(app, secret) });
    let answer = person.as_user().post_json("/api/step-up", body).await;
    person.keep(answer.expect(200).tokens());
}

/// Changes the policy of a team.
async fn require_factor(person: &Person, team: &str, is_required: bool) -> Answer {
    let body = json!({ "requireFactor": is_required });
    person.as_user().json(Method::PATCH, &format!("/api/teams/{team}"), body).await
}

/// Fails the test unless the team refuses the session, with these methods.
#[track_caller]
fn is_refused(answer: &Answer, methods: &[&str]) {
    answer.clone().expect_problem(403, "team-factor-required");
    assert_eq!(answer.json()["methods"], json!(methods), "{}", answer.text());
}

/// Fails the test unless the response asks for a step-up to `aal2` (RFC 9470), with these methods.
#[track_caller]
fn asks_for_step_up(answer: &Answer, methods: &[&str]) {
    answer.clone().expect_problem(401, "step-up-required");
    let challenge =
        "Bearer error=\"insufficient_user_authentication\", acr_values=\"aal2\", max_age=\"900\"";
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
    let problem = answer.json();
    assert_eq!(problem["acrValues"], json!(["aal2"]));
    assert_eq!((&problem["maxAge"], &problem["methods"]), (&json!(900), &json!(methods)));
}

/// Fails the test unless the vaultToken is that of a user without a team.
#[track_caller]
fn has_no_team(person: &Person) {
    let token = claims(&person.vault_token);
    for name in ["tid", "pid", "role", "mep"] {
        assert_eq!(token.get(name), None, "{token}");
    }
    assert_eq!((&token["scope"], &token["acr"]), (&json!(""), &json!("aal1")));
}

both!(switching_it_on_needs_two_factors_so_no_owner_locks_themselves_out, async |app| {
    let [mut ada, mut bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "admin").await;
    let path = format!("/api/teams/{team}");
    let before = ada.as_user().get(&path).await.expect(200).json();
    assert_eq!(before["requireFactor"], false);
    ada.login().await.expect(200);
    asks_for_step_up(&require_factor(&ada, &team, true).await, &[]);
    let both = json!({ "name": "Other", "requireFactor": true });
    asks_for_step_up(&ada.as_user().json(Method::PATCH, &path, both.clone()).await, &[]);
    assert_eq!(ada.as_user().get(&path).await.json(), before, "nothing of the request is done");
    let wrong = json!({ "requireFactor": "yes" });
    let wrong = ada.as_user().json(Method::PATCH, &path, wrong).await;
    assert_eq!(broken_rules(&wrong), [("/requireFactor".to_owned(), "type".to_owned())]);

    let secret = add_factor(app, &mut ada).await;
    app.clock.advance(STALE);
    ada.refresh().await.expect(200);
    let methods = ["totp", "recovery-code"];
    asks_for_step_up(&require_factor(&ada, &team, true).await, &methods);
    let plain = json!({ "name": "Acme", "requireFactor": null });
    ada.as_user().json(Method::PATCH, &path, plain).await.expect(200);
    step_up(app, &mut ada, &secret).await;
    let on = ada.as_user().json(Method::PATCH, &path, both).await.expect(200).json();
    assert_eq!((&on["name"], &on["requireFactor"]), (&json!("Other"), &json!(true)));
    assert_eq!(ada.as_user().get(&path).await.expect(200).json(), on);

    add_factor(app, &mut bob).await;
    require_factor(&bob, &team, false).await.expect_problem(403, "forbidden");
    let rename = json!({ "name": "Acme" });
    bob.as_user().json(Method::PATCH, &path, rename.clone()).await.expect(200);
    app.clock.advance(STALE);
    ada.refresh().await.expect(200);
    asks_for_step_up(&require_factor(&ada, &team, false).await, &methods);
    step_up(app, &mut ada, &secret).await;
    let seen = events(app, &team).await.len();
    require_factor(&ada, &team, true).await.expect(200);
    assert_eq!(events(app, &team).await.len(), seen, "it was on before");
    let off = require_factor(&ada, &team, false).await.expect(200).json();
    assert_eq!(off["requireFactor"], false);
    let recorded: Vec<Value> = events(app, &team)
        .await
        .into_iter()
        .filter(|(action, _)| action == "team.updated")
        .map(|(_, detail)| detail["factor"].clone())
        .collect();
    let (on, off) = (json!("required"), json!("not-required"));
    assert_eq!(recorded, [Value::Null, on, Value::Null, off]);
});

both!(a_session_below_it_can_only_see_the_team_and_leave_it, async |app| {
    let [mut ada, mut bob, mut cem] = people(app, ["ada", "bob", "cem"]).await;
    let (team, project) = (claim(&ada, "tid"), claim(&ada, "pid"));
    add_factor(app, &mut ada).await;
    let key = ada.make_key(&["vault:read"]).await.id;
    let invitation = ada.invited(&team, "eve@example.org", "viewer").await;
    require_factor(&ada, &team, true).await.expect(200);
    for (person, role) in [(&mut bob, "owner"), (&mut cem, "viewer")] {
        join(app, &team, person, role).await;
        let own = claim(person, "tid");
        let user = person.as_user();
        let lists = user.get("/api/teams").await.expect(200).json();
        let listed = lists["items"].as_array().expect("a list");
        assert!(listed.iter().any(|it| it["id"] == json!(team)), "{lists}");
        assert_ne!(own, team);
    }
    // Every proof is now too old for a step-up. The refusal of the team still comes first.
    app.clock.advance(STALE);
    for person in [&mut ada, &mut bob, &mut cem] {
        person.refresh().await.expect(200);
    }
    let recorded = events(app, &team).await.len();
    let mut refused = 0;
    for route in ROUTES {
        let Handler::Team(permission, _) = route.handler else { continue };
        let path = route.path.replace("{tid}", &team).replace("{pid}", &project);
        let path = path.replace("{kid}", &key).replace("{iid}", &invitation);
        let path = path.replace("{userId}", &id_of(&ada));
        let method: Method = route.method.name().parse().expect("a method");
        for person in [&bob, &cem] {
            let user = person.as_user();
            let answer = match method {
                Method::GET => user.get(&path).await,
                _ => user.json(method.clone(), &path, json!({})).await,
            };
            if permission == Permission::SeeTeam {
                assert_eq!(answer.expect(200).json()["requireFactor"], true);
            } else {
                is_refused(&answer, &[]);
                refused += 1;
            }
        }
    }
    assert!(refused > 30, "{refused}");
    assert_eq!(events(app, &team).await.len(), recorded, "no request has changed the team");
    let members = format!("/api/teams/{team}/members");
    assert_eq!(ada.as_user().get(&members).await.json()["items"].as_array().map(Vec::len), Some(3));
    cem.remove_member(&team, &cem).await.expect(204);
    cem.as_user().get(&format!("/api/teams/{team}")).await.expect_problem(404, "not-found");

    // With a second factor, the same requests work.
    bob.login().await.expect(200);
    add_factor_here(app, &mut bob).await;
    bob.switch(&team, json!({})).await.expect(200);
    assert_eq!(claim(&bob, "tid"), team);
    bob.make_key(&["vault:read"]).await;
    bob.set_role(&team, &bob, "admin").await.expect(200);
});

both!(a_session_keeps_its_team_until_the_second_factor_is_proven, async |app| {
    let [mut ada, mut bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    join(app, &team, &bob, "member").await;
    bob.login().await.expect(200);
    bob.switch(&team, json!({})).await.expect(200);
    let before = bob.me().await.expect(200).json();
    assert_eq!(before["team"].get("locked"), None, "{before}");
    add_factor(app, &mut ada).await;
    require_factor(&ada, &team, true).await.expect(200);

    bob.refresh().await.expect(200);
    has_no_team(&bob);
    let team_of = async |person: &Person| person.me().await.expect(200).json()["team"].clone();
    let mut locked = before["team"].clone();
    locked["locked"] = json!("team-factor-required");
    assert_eq!(team_of(&bob).await, locked);
    let renamed = bob.as_user().json(Method::PATCH, "/api/me", json!({ "name": "Bob" })).await;
    assert_eq!(renamed.expect(200).json()["team"], locked);
    is_refused(&bob.switch(&team, json!({})).await, &[]);
    let mut other = bob.another_device().await;
    has_no_team(&other);
    assert_eq!(team_of(&other).await, locked);
    // The user's own team is not affected.
    let teams = other.as_user().get("/api/teams").await.expect(200).json();
    let own = teams["items"].as_array().expect("a list").iter().find(|it| it["id"] != json!(team));
    let own = own.expect("a team of one's own")["id"].as_str().expect("an id").to_owned();
    other.switch(&own, json!({})).await.expect(200);
    assert_eq!(claim(&other, "tid"), own);

    add_factor_here(app, &mut bob).await;
    assert_eq!((claim(&bob, "tid"), claim(&bob, "acr")), (team.clone(), "aal2".to_owned()));
    assert_eq!(team_of(&bob).await, before["team"]);
    bob.refresh().await.expect(200);
    assert_eq!(claim(&bob, "tid"), team);
});

both!(the_session_of_a_trusted_device_is_below_it, async |app| {
    let [mut ada] = people(app, ["ada"]).await;
    let team = claim(&ada, "tid");
    let secret = add_factor(app, &mut ada).await;
    require_factor(&ada, &team, true).await.expect(200);
    app.clock.advance(Duration::from_secs(30));
    let asked = ada.anonymous().login(&ada.email, &ada.password).await;
    let challenge = asked.expect_problem(401, "factor-required").json()["challenge"].clone();
    let body = json!({
        "challenge": challenge,
        "method": "totp",
        "code": code(app, &secret),
        "trustDevice": true,
    });
    let trusted = app.anonymous().post_json("/api/login/factor", body).await.expect(200);
    ada.keep(trusted.tokens());
    assert_eq!(claim(&ada, "tid"), team);
    let device = trusted.header("x-latchkey-device").expect("a device").to_owned();

    let login = json!({ "email": ada.email, "password": ada.password });
    let client = app.anonymous().header("x-latchkey-device", &device);
    ada.keep(client.post_json("/api/login", login).await.expect(200).tokens());
    has_no_team(&ada);
    assert_eq!(ada.me().await.json()["team"]["locked"], "team-factor-required");
    let methods = ["totp", "recovery-code"];
    is_refused(&ada.switch(&team, json!({})).await, &methods);
    is_refused(&require_factor(&ada, &team, false).await, &methods);
    let password = json!({ "method": "password", "password": ada.password });
    ada.keep(ada.as_user().post_json("/api/step-up", password).await.tokens());
    has_no_team(&ada);
    step_up(app, &mut ada, &secret).await;
    assert_eq!((claim(&ada, "tid"), claim(&ada, "acr")), (team.clone(), "aal2".to_owned()));
    require_factor(&ada, &team, false).await.expect(200);
});

both!(
    it_is_in_force_at_once_for_tokens_of_users_and_never_for_project_keys,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        const PATH: &str = "/api/forward-auth";
        let [mut ada, mut bob] = people(app, ["ada", "bob"]).await;
        let team = claim(&ada, "tid");
        join(app, &team, &bob, "member").await;
        add_factor(app, &mut ada).await;
        bob.login().await.expect(200);
        bob.switch(&team, json!({})).await.expect(200);
        let key = ada.make_key(&["vault:read"]).await;
        let of_key = key.token(app).await;
        let of_key_passes = async || {
            app.anonymous().bearer(&of_key).get(PATH).await.expect(200);
            is_active(app, &of_key).await;
            key.token(app).await;
        };
        bob.as_vault().get(PATH).await.expect(200);
        is_active(app, &bob.vault_token).await;
        of_key_passes().await;

        require_factor(&ada, &team, true).await.expect(200);
        let refused = bob.as_vault().get(PATH).await;
        asks_for_step_up(&refused, &[]);
        assert_eq!(refused.header("x-latchkey-subject"), None);
        is_inactive(app, &bob.vault_token).await;
        let by_key = key.client(app);
        let form = [("token", bob.vault_token.as_str())];
        let seen = by_key.post_form("/api/introspect", &form).await.expect(200);
        assert_eq!(seen.text(), r#"{"active":false}"#);
        ada.as_vault().get(PATH).await.expect(200);
        is_active(app, &ada.vault_token).await;
        is_active(app, &bob.user_token).await;
        of_key_passes().await;
        let old = bob.vault_token.clone();
        bob.refresh().await.expect(200);
        has_no_team(&bob);
        bob.as_vault().get(PATH).await.expect_problem(401, "invalid-token");

        require_factor(&ada, &team, false).await.expect(200);
        is_active(app, &old).await;
        bob.refresh().await.expect(200);
        assert_eq!(claim(&bob, "tid"), team);
        bob.as_vault().get(PATH).await.expect(200);
    }
);

both!(an_invitation_that_was_refused_stays_open, async |app| {
    let [mut ada, mut bob] = people(app, ["ada", "bob"]).await;
    let team = claim(&ada, "tid");
    add_factor(app, &mut ada).await;
    require_factor(&ada, &team, true).await.expect(200);
    let id = ada.invited(&team, &bob.email, "member").await;
    let mail = app.mail_to(&bob.email).await;
    let by_id = format!("/api/me/invitations/{id}/accept");
    is_refused(&bob.accept(mail.token()).await, &[]);
    is_refused(&bob.as_user().bare(Method::POST, &by_id).await, &[]);
    let open = bob.as_user().get("/api/me/invitations").await.expect(200).json();
    assert_eq!(open["items"][0]["id"], json!(id));
    bob.as_user().get(&format!("/api/teams/{team}")).await.expect_problem(404, "not-found");
    add_factor(app, &mut bob).await;
    bob.accept(mail.token()).await.expect(200);
    bob.switch(&team, json!({})).await.expect(200);

    let [mut cem] = people(app, ["cem"]).await;
    let id = ada.invited(&team, &cem.email, "viewer").await;
    add_factor(app, &mut cem).await;
    let by_id = format!("/api/me/invitations/{id}/accept");
    cem.as_user().bare(Method::POST, &by_id).await.expect(200);
});

both!(
    the_level_of_a_session_is_that_of_its_record,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let [mut ada] = people(app, ["ada"]).await;
        let team = claim(&ada, "tid");
        let proven = |told: &Value| ["acr", "amr", "auth_time"].map(|name| told[name].clone());
        let of_mail = introspect(app, &ada.vault_token).await.json();
        assert_eq!(proven(&of_mail), proven(&claims(&ada.vault_token)));
        assert_eq!((&of_mail["acr"], &of_mail["amr"]), (&json!("aal1"), &json!(["email"])));
        add_factor(app, &mut ada).await;
        let at = app.clock.now().div_euclid(1000);
        let raised = [json!("aal2"), json!(["pwd", "otp", "mfa"]), json!(at)];
        for token in [&ada.vault_token, &ada.user_token] {
            assert_eq!(proven(&introspect(app, token).await.json()), raised);
            assert_eq!(proven(&claims(token)), raised);
        }
        let listed = async |person: &Person| {
            let listed = person.sessions().await.expect(200).json()["items"][0].clone();
            (listed["acr"].clone(), listed["amr"].clone())
        };
        assert_eq!(listed(&ada).await, (raised[0].clone(), raised[1].clone()));
        require_factor(&ada, &team, true).await.expect(200);

        // The token still says aal2, but the account has no factor any more.
        let factors = ada.as_user().get("/api/me/factors").await.expect(200).json();
        let id = factors["items"][0]["id"].as_str().expect("an id").to_owned();
        ada.as_user().delete(&format!("/api/me/factors/{id}")).await.expect(204);
        is_inactive(app, &ada.vault_token).await;
        asks_for_step_up(&ada.as_vault().get("/api/forward-auth").await, &[]);
        let lowered = introspect(app, &ada.user_token).await.json();
        assert_eq!((&lowered["acr"], &lowered["amr"]), (&json!("aal1"), &json!(["pwd"])));
        assert_eq!(listed(&ada).await, (json!("aal1"), json!(["pwd"])));
        is_refused(&require_factor(&ada, &team, false).await, &[]);

        add_factor_here(app, &mut ada).await;
        require_factor(&ada, &team, false).await.expect(200);
        let of_key = ada.make_key(&["vault:read"]).await.token(app).await;
        assert_eq!(proven(&introspect(app, &of_key).await.json()), [const { Value::Null }; 3]);

        let path = "/.well-known/openid-configuration";
        let discovery = app.anonymous().get(path).await.expect(200).json();
        assert_eq!(discovery["acr_values_supported"], json!(["aal1", "aal2"]));
        let claims = discovery["claims_supported"].as_array().expect("a list").clone();
        assert!(["acr", "amr", "auth_time"].iter().all(|it| claims.contains(&json!(it))));
    }
);
