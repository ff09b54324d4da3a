//! Tests of recovery codes: each works once, its use is mailed and audited.

use super::callers::{enrolled, is_wrong, proof_is};
use crate::app::both;
use crate::ask::{at_once, count};
use crate::audit::actions;
use crate::limits_attempts::DEVICE;
use crate::people::id_of;

const ADA: &str = "ada@example.org";

both!(
    a_recovery_code_works_once_and_its_use_is_mailed,
    ["mail.new_device" = "false"],
    async |app| {
        let user = enrolled(app, ADA).await;
        let client = app.anonymous();
        let challenge = client.challenge(&user.person).await;
        let answer = client.prove_recovery(&challenge, &user.recovery_codes[3]).await.expect(200);
        assert!(answer.header(DEVICE).is_some());
        let mut person = user.person.clone();
        person.keep(answer.tokens());
        assert_eq!(person.proof(), proof_is("aal2", "pwd rc mfa"));
        let mail = app.mail_to(ADA).await;
        assert!(mail.text.contains("You have 9 codes left."), "{}", mail.text);
        assert!(user.recovery_codes.iter().all(|code| !mail.text.contains(code)));
        let left = person.factors().await.json()["recoveryCodesLeft"].clone();
        assert_eq!(left, 9);
        let id = id_of(&person).parse().expect("an id");
        assert!(actions(app, id).await.iter().any(|it| it == "factor.recovery-code-used"));
        let challenge = client.challenge(&user.person).await;
        is_wrong(client.prove_recovery(&challenge, &user.recovery_codes[3]).await);
        person
            .step_up(
                serde_json::json!({ "method": "recovery-code", "code": user.recovery_codes[3] }),
            )
            .await
            .expect_problem(401, "invalid-credentials");
        app.no_mail_to(ADA).await;
        crate::audit::is_sound(app).await;
    }
);

both!(a_recovery_code_is_read_as_users_type_it, async |app| {
    let user = enrolled(app, ADA).await;
    let client = app.anonymous();
    let code = |number: usize| user.recovery_codes[number].clone();
    let typed = [
        code(0).to_lowercase(),
        code(1).replace('-', ""),
        format!("  {} ", code(2).replace('-', " - ")),
        code(3).replace('0', "O").replace('1', "l"),
    ];
    for text in typed {
        let challenge = client.challenge(&user.person).await;
        client.prove_recovery(&challenge, &text).await.expect(200);
    }
    let challenge = client.challenge(&user.person).await;
    for text in ["", "x", &code(4)[..10], &format!("{}0", code(4)), &code(4).replace('-', "_")] {
        is_wrong(client.prove_recovery(&challenge, text).await);
    }
});

both!(the_mail_says_when_few_codes_are_left, ["mail.new_device" = "false"], async |app| {
    let user = enrolled(app, ADA).await;
    let client = app.anonymous();
    for (number, code) in user.recovery_codes.iter().enumerate() {
        let challenge = client.challenge(&user.person).await;
        client.prove_recovery(&challenge, code).await.expect(200);
        let left = 9 - number;
        // Notices about factors never merge, so each use has its mail.
        let mail = app.mail_to(ADA).await;
        let count = if left == 1 { "1 code".to_owned() } else { format!("{left} codes") };
        assert!(mail.text.contains(&format!("You have {count} left.")), "{}", mail.text);
        assert_eq!(mail.text.contains("Create new codes."), left <= 3, "{}", mail.text);
    }
    let answer = client.login(ADA, &user.person.password).await.json();
    assert_eq!(answer["methods"], serde_json::json!(["totp"]));
});

both!(of_64_parallel_logins_with_one_recovery_code_on_two_daemons_one_succeeds, async |app| {
    let user = enrolled(app, ADA).await;
    let other = app.replica().await;
    let mut challenges = Vec::new();
    for _ in 0..64 {
        challenges.push(app.anonymous().challenge(&user.person).await);
    }
    let answers = at_once(64, async |number: usize| {
        let daemon = if number.is_multiple_of(2) { app.anonymous() } else { other.anonymous() };
        daemon.prove_recovery(&challenges[number], &user.recovery_codes[0]).await
    })
    .await;
    let (good, lost) = (count(&answers, 200), count(&answers, 503));
    assert_eq!(good + lost + count(&answers, 401), 64, "{answers:#?}");
    assert!(good == 1 || (good == 0 && lost > 0), "{good} succeeded, {lost} were lost");
    let left = user.person.factors().await.json()["recoveryCodesLeft"].clone();
    assert!(left == 9 || lost > 0, "{left}");
    other.finish().await;
});
