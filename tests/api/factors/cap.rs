//! Tests of who is exempt from the cap on wrong codes of an account.

use serde_json::json;

use super::back_off::fail;
use super::callers::{challenge_of, enrol, enrolled, is_wrong, log_in, prove};
use super::limits::{HOUR_S, close};
use super::trusted::trust;
use crate::app::{TestApp, both};
use crate::client::Person;
use crate::limits_attempts::{DEVICE, at, client_ip, retry_after};
use crate::limits_lockout::reset;

const ADA: &str = "ada@example.org";

/// Logs in until there are this many known devices that are counted separately. The first two
/// characters of a token are those of the device's id, by which the device is counted.
async fn devices(app: &TestApp, person: &Person, count: usize) -> Vec<String> {
    let mut devices: Vec<String> = Vec::new();
    for number in 0.. {
        let client = at(app, &client_ip(number));
        let body = json!({ "email": person.email, "password": person.password });
        let answer = client.post_json("/api/login", body).await.expect(200);
        let device = answer.header(DEVICE).expect("a device");
        if !devices.iter().any(|known| known[..2] == device[..2]) {
            devices.push(device.to_owned());
        }
        if devices.len() == count {
            break;
        }
    }
    devices
}

both!(
    devices_that_were_known_before_the_first_factor_share_the_cap,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let mut person = app.verified(ADA).await;
        person.login().await.expect(200);
        let devices = devices(app, &person, 11).await;
        let user = enrol(app, person).await;
        app.mail_to(ADA).await;
        let known =
            |number: usize| at(app, &client_ip(100 + number)).header(DEVICE, &devices[number]);
        for number in 0..10 {
            fail(app, &known(number), &user, 10).await;
        }
        let last = known(10);
        let challenge = challenge_of(&last, &user.person).await;
        let code = user.authenticator.code_at(app, 1);
        assert_eq!(retry_after(&prove(&last, &challenge, "totp", &code).await), HOUR_S);
        // A device on which the user has proven a second factor is exempt, also without trust.
        let recovery = &user.recovery_codes[0];
        let proven = prove(&last, &challenge, "recovery-code", recovery).await.expect(200);
        let proven =
            at(app, "203.0.113.7").header(DEVICE, proven.header(DEVICE).expect("a device"));
        for number in 0..10 {
            fail(app, &known(number), &user, 10).await;
        }
        let challenge = challenge_of(&proven, &user.person).await;
        is_wrong(prove(&proven, &challenge, "totp", &user.authenticator.wrong(app)).await);
        let code = user.authenticator.next(app);
        prove(&proven, &challenge, "totp", &code).await.expect(200);
    }
);

both!(
    the_device_of_a_reset_is_not_exempt_from_the_cap,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let mut user = enrolled(app, ADA).await;
        close(app, &user).await;
        // The first reset of a day opens the account for everybody, and the second one does not.
        reset(app, &mut user.person, "203.0.113.7", "a quite new password").await;
        close(app, &user).await;
        let device = reset(app, &mut user.person, "203.0.113.7", "another new password").await;
        let client = at(app, "198.51.100.1").header(DEVICE, &device);
        let challenge = challenge_of(&client, &user.person).await;
        let code = user.authenticator.code_at(app, 1);
        assert_eq!(retry_after(&prove(&client, &challenge, "totp", &code).await), HOUR_S);
    }
);

both!(
    strangers_close_no_step_up_of_a_live_session,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        let device = trust(app, &at(app, "203.0.113.7"), &user).await;
        let trusted = at(app, "203.0.113.7").header(DEVICE, &device);
        let mut person = user.person.clone();
        let body = json!({ "email": person.email, "password": person.password });
        person.keep(trusted.post_json("/api/login", body).await.expect(200).tokens());
        assert_eq!(person.proof().0, "aal1");
        close(app, &user).await;
        let unknown = at(app, "198.51.100.1");
        let challenge = challenge_of(&unknown, &user.person).await;
        let code = user.authenticator.next(app);
        retry_after(&prove(&unknown, &challenge, "totp", &code).await);
        is_wrong(person.step_up_totp(&user.authenticator.wrong(app)).await);
        person.step_up_totp(&code).await.expect(200);
        // The owner's success opens the account for every client.
        log_in(app, &unknown, &user).await.expect(200);
    }
);
