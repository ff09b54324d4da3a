//! Tests of adding an authenticator app.

use std::time::Duration;

use serde_json::json;

use super::callers::{Authenticator, enrolled, proof_is, texts};
use crate::app::{PUBLIC_URL, both};
use crate::ask::{at_once, broken_rules, count};
use crate::audit::actions;
use crate::client::Person;
use crate::people::{id_of, people};

const ADA: &str = "ada@example.org";

/// Checks that a text has the form `XXXXX-XXXXX` in Crockford's base32.
fn is_recovery_code(code: &str) -> bool {
    let is_char = |it: char| "0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(it);
    code.split_once('-').is_some_and(|(left, right)| {
        [left, right].iter().all(|half| half.len() == 5 && half.chars().all(is_char))
    })
}

/// The names of the members of a JSON object.
fn members(value: &serde_json::Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

both!(an_app_is_in_force_after_its_first_code, ["mail.new_device" = "false"], async |app| {
    let mut person = app.verified(ADA).await;
    let mut other = person.another_device().await;
    person.login().await.expect(200);
    let answer = person.add_totp("  My phone ").await.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let begun = answer.json();
    assert_eq!(members(&begun), ["expiresAt", "id", "secret", "uri"]);
    let secret = begun["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(secret.len(), 32);
    assert!(secret.chars().all(|it| matches!(it, 'A'..='Z' | '2'..='7')), "{secret}");
    let uri = begun["uri"].as_str().expect("a URI");
    assert!(uri.starts_with("otpauth://totp/latchkey:ada%40example.org?"), "{uri}");
    assert!(uri.contains(&format!("secret={secret}")), "{uri}");
    assert!(uri.contains("issuer=latchkey"), "{uri}");
    let ends = latchkey::clock::rfc3339(app.clock.now() + 600_000);
    assert_eq!(begun["expiresAt"], ends.as_str());
    // Until the first code the app is not in force.
    let list = person.factors().await.expect(200).json();
    assert_eq!(list, json!({ "items": [], "recoveryCodesLeft": 0, "next": null }));
    app.anonymous().login(ADA, &person.password).await.expect(200);

    let (id, app_code) = (begun["id"].as_str().expect("an id"), Authenticator { secret });
    let confirmed = person.confirm(id, &app_code.next(app)).await.expect(200);
    assert_eq!(confirmed.header("cache-control"), Some("no-store"));
    let confirmed = confirmed.json();
    assert_eq!(members(&confirmed), ["factor", "recoveryCodes", "userToken", "vaultToken"]);
    let factor = json!({
        "id": id,
        "kind": "totp",
        "name": "My phone",
        "createdAt": latchkey::clock::rfc3339(app.clock.now()),
        "lastUsedAt": null,
        "backedUp": null,
    });
    assert_eq!(confirmed["factor"], factor);
    let mut codes = texts(&confirmed["recoveryCodes"]);
    assert!(codes.iter().all(|code| is_recovery_code(code)), "{codes:?}");
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), 10);
    let list = person.factors().await.expect(200);
    assert!(codes.iter().all(|code| !list.text().contains(code)), "the codes are shown once");
    assert_eq!(list.json(), json!({ "items": [factor], "recoveryCodesLeft": 10, "next": null }));
    // This session has two factors, and every other session has ended.
    assert_eq!(person.proof(), proof_is("aal2", "pwd otp mfa"));
    other.refresh().await.expect_problem(401, "invalid-token");
    person.refresh().await.expect(200);
    assert_eq!(person.proof(), proof_is("aal2", "pwd otp mfa"));
    let sessions = person.sessions().await.expect(200).json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(1));
    let mail = app.mail_to(ADA).await;
    let link = format!("{PUBLIC_URL}/undo-factor?token={}", mail.token());
    assert!(mail.text.lines().any(|line| line == link), "{}", mail.text);
    let id = id_of(&person).parse().expect("an id");
    assert!(actions(app, id).await.iter().any(|it| it == "factor.added"));
    crate::audit::is_sound(app).await;
});

both!(a_wrong_code_confirms_nothing_and_ten_wrong_codes_end_the_app, async |app| {
    let [mut ada, mut ben] = people(app, ["ada", "ben"]).await;
    for (person, wrong, then) in [(&mut ada, 9, 200), (&mut ben, 10, 404)] {
        person.login().await.expect(200);
        let (id, authenticator) = person.begin_totp("Phone").await;
        for _ in 0..wrong {
            let answer = person.confirm(&id, &authenticator.wrong(app)).await;
            let expected = [("/code".to_owned(), "mismatch".to_owned())];
            assert_eq!(broken_rules(&answer), expected);
        }
        assert_eq!(person.factors().await.json()["items"], json!([]));
        person.confirm(&id, &authenticator.next(app)).await.expect(then);
    }
    app.mail_to("ada@example.org").await;
    // The user can begin again.
    let (id, authenticator) = ben.begin_totp("Phone").await;
    ben.confirm(&id, &authenticator.next(app)).await.expect(200);
});

both!(whatever_is_no_code_is_a_wrong_first_code, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let (id, authenticator) = person.begin_totp("Phone").await;
    let code = authenticator.code_at(app, 0);
    for text in ["", "x", &code[..5], &format!("{code}0"), "12345６", &format!("-{code}")] {
        let answer = person.confirm(&id, text).await;
        assert_eq!(broken_rules(&answer), [("/code".to_owned(), "mismatch".to_owned())], "{text}");
    }
    // A member that is missing or has another type is not counted as a wrong code.
    let path = format!("/api/me/factors/{id}/confirm");
    for body in [json!({}), json!({ "code": 123_456 }), json!({ "code": null })] {
        for _ in 0..4 {
            let answer = person.as_user().post_json(&path, body.clone()).await;
            assert_eq!(broken_rules(&answer)[0].0, "/code");
        }
    }
    let spaced = format!(" {} {} ", &code[..3], &code[3..]);
    person.confirm(&id, &spaced).await.expect(200);
});

both!(an_app_is_gone_after_ten_minutes, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let (id, authenticator) = person.begin_totp("Phone").await;
    app.clock.advance(Duration::from_secs(599));
    let wrong = person.confirm(&id, &authenticator.wrong(app)).await;
    assert_eq!(wrong.status, 422);
    app.clock.advance(Duration::from_secs(1));
    let late = person.confirm(&id, &authenticator.code_at(app, 0)).await;
    late.expect_problem(404, "not-found");
});

both!(only_the_session_that_began_confirms, async |app| {
    let [mut ada, mut ben] = people(app, ["ada", "ben"]).await;
    ada.login().await.expect(200);
    ben.login().await.expect(200);
    let mut other = ada.another_device().await;
    let (id, authenticator) = ada.begin_totp("Phone").await;
    ben.begin_totp("Phone").await;
    for person in [&mut other, &mut ben] {
        let foreign = person.confirm(&id, &authenticator.code_at(app, 0)).await;
        foreign.expect_problem(404, "not-found");
    }
    for unknown in ["0190a0a0-0000-7000-8000-000000000000", "x", "..%2F"] {
        let answer = ada.confirm(unknown, &authenticator.code_at(app, 0)).await;
        answer.expect_problem(404, "not-found");
    }
    ada.confirm(&id, &authenticator.code_at(app, 0)).await.expect(200);
    // The other session has ended, and the other user still has no factor.
    other.me().await.expect_problem(401, "invalid-token");
    assert_eq!(ben.factors().await.json()["items"], json!([]));
});

both!(a_new_app_replaces_one_that_waits, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let (first, of_first) = person.begin_totp("Old").await;
    let (second, of_second) = person.begin_totp("New").await;
    assert_ne!((&first, &of_first.secret), (&second, &of_second.secret));
    let old = person.confirm(&first, &of_first.code_at(app, 0)).await;
    old.expect_problem(404, "not-found");
    let confirmed = person.confirm(&second, &of_second.code_at(app, 0)).await.expect(200);
    assert_eq!(confirmed.json()["factor"]["name"], "New");
    // A confirmed app is not confirmed again.
    let again = person.confirm(&second, &of_second.next(app)).await;
    again.expect_problem(404, "not-found");
});

both!(of_parallel_confirmations_of_one_app_one_succeeds, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let (id, authenticator) = person.begin_totp("Phone").await;
    let code = authenticator.code_at(app, 0);
    let answers = at_once(8, async |_| person.clone().confirm(&id, &code).await).await;
    assert_eq!(count(&answers, 200), 1, "{answers:#?}");
    // While the other sessions end, the record of this session is written again.
    let refused = count(&answers, 404) + count(&answers, 401);
    assert_eq!(refused, 7, "{answers:#?}");
    app.mail_to(ADA).await;
    app.no_mail_to(ADA).await;
});

both!(an_address_that_is_not_confirmed_gets_no_factor, async |app| {
    let person = app.register(ADA).await;
    app.mail_to(ADA).await;
    let unverified = |answer: crate::client::Answer| {
        answer.expect_problem(403, "email-unverified");
    };
    unverified(person.add_totp("Phone").await);
    unverified(person.clone().confirm("x", "123456").await);
    unverified(person.rename_factor("x", "Phone").await);
    unverified(person.remove_factor("x").await);
    unverified(person.new_recovery_codes().await);
    let list = person.factors().await.expect(200).json();
    assert_eq!(list, json!({ "items": [], "recoveryCodesLeft": 0, "next": null }));
});

both!(a_name_follows_the_rule_of_a_users_name, async |app| {
    let mut person: Person = app.verified(ADA).await;
    person.login().await.expect(200);
    let long = "x".repeat(101);
    for bad in ["", "   ", &long, "a\u{7}b", "a\u{202e}b"] {
        let answer = person.add_totp(bad).await;
        assert_eq!(broken_rules(&answer)[0].0, "/name", "{bad:?}");
    }
    for body in [json!({}), json!({ "name": 1 }), json!({ "name": null })] {
        let answer = person.as_user().post_json("/api/me/factors/totp", body).await;
        assert_eq!(broken_rules(&answer)[0].0, "/name");
    }
    let user = enrolled(app, "bob@example.org").await;
    let renamed = user.person.rename_factor(&user.id, &long).await;
    assert_eq!(broken_rules(&renamed)[0].0, "/name");
});
