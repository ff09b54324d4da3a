//! Tests of step-ups by passkey.

use std::time::Duration;

use serde_json::json;

use super::authenticator::{Key, Passkey};
use super::callers::{Holder, as_is, holder, log_in};
use crate::app::both;
use crate::client::claims;

const ADA: &str = "ada@example.org";

both!(a_step_up_makes_a_session_fresh, async |app| {
    let Holder { mut person, passkey, .. } = holder(app, ADA).await;
    let answer = log_in(&app.anonymous().0, &passkey, as_is).await.expect(200);
    app.mail_to(ADA).await;
    person.keep(answer.tokens());
    let (sid, jti) = (person.sid.clone(), claims(&person.user_token)["jti"].clone());
    app.clock.advance(Duration::from_mins(16));
    person.refresh().await.expect(200);
    let answer = person.passkey_options().await.expect_problem(401, "step-up-required");
    assert_eq!(answer.json()["methods"], json!(["passkey", "recovery-code"]));
    let options = person.step_up_options().await.expect(200).json();
    assert_eq!(options["publicKey"]["allowCredentials"].as_array().map(Vec::len), Some(1));
    assert_eq!(options["publicKey"]["userVerification"], "required");
    let credential = passkey.get(&options["publicKey"], as_is);
    person.send_step_up(&options["challenge"], &credential).await.expect(200);
    assert_eq!(person.sid, sid);
    assert_ne!(claims(&person.user_token)["jti"], jti);
    assert_eq!(person.proof(), ("aal2".to_owned(), "pop mfa".to_owned()));
    assert_eq!(claims(&person.user_token)["auth_time"], app.clock.now_seconds());
    person.passkey_options().await.expect(200);
    // The proof works once.
    let again = person.send_step_up(&options["challenge"], &credential).await;
    again.expect_problem(401, "challenge-invalid");
});

both!(a_passkey_raises_a_session_that_proved_the_password, async |app| {
    let Holder { mut person, passkey, .. } = holder(app, ADA).await;
    app.clock.advance(Duration::from_mins(20));
    person.refresh().await.expect(200);
    person.step_up_passkey(&passkey, as_is).await.expect(200);
    assert_eq!(person.proof(), ("aal2".to_owned(), "pwd pop mfa".to_owned()));
});

both!(a_wrong_passkey_ends_no_session, async |app| {
    let Holder { mut person, passkey, .. } = holder(app, ADA).await;
    let before = person.proof();
    let stranger = Passkey::new(Key::es256());
    let answer = person.step_up_passkey(&stranger, as_is).await;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    answer.expect_problem(401, "invalid-credentials");
    person.as_user().get("/api/me").await.expect(200);
    assert_eq!(person.proof(), before);
    // Each attempt needs its own options.
    let options = person.step_up_options().await.expect(200).json();
    let wrong = passkey.get(&options["publicKey"], |it| it.signature = Some(vec![1; 70]));
    let answer = person.send_step_up(&options["challenge"], &wrong).await;
    answer.expect_problem(401, "invalid-credentials");
    let right = passkey.get(&options["publicKey"], as_is);
    let answer = person.send_step_up(&options["challenge"], &right).await;
    answer.expect_problem(401, "challenge-invalid");
});

both!(a_step_up_belongs_to_its_session, async |app| {
    let Holder { mut person, passkey, .. } = holder(app, ADA).await;
    let answer = log_in(&app.anonymous().0, &passkey, as_is).await.expect(200);
    app.mail_to(ADA).await;
    let mut other = person.clone();
    other.keep(answer.tokens());
    let options = person.step_up_options().await.expect(200).json();
    let credential = passkey.get(&options["publicKey"], as_is);
    let answer = other.send_step_up(&options["challenge"], &credential).await;
    answer.expect_problem(401, "challenge-invalid");
    person.send_step_up(&options["challenge"], &credential).await.expect(200);
});

both!(a_step_up_by_passkey_needs_its_members, async |app| {
    let Holder { mut person, .. } = holder(app, ADA).await;
    for (body, pointer) in [
        (json!({ "method": "passkey" }), "/credential"),
        (json!({ "method": "passkey", "credential": {} }), "/challenge"),
        (json!({ "method": "passkey", "challenge": "x", "credential": 1 }), "/credential"),
    ] {
        let answer = person.step_up(body.clone()).await;
        assert_eq!(crate::ask::broken_rules(&answer)[0].0, pointer, "{body}");
    }
});
