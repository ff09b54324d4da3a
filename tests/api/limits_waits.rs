//! A test of the wait that the login back-off reports. After this wait an attempt is admitted,
//! whatever happened before.

use std::time::Duration;

use latchkey::admission::{AttemptCaptcha, AttemptClient, AttemptRefusal};

use crate::app::both;

both!(
    a_client_with_right_passwords_behind_it_waits_honestly_too,
    ["rate_limit.enabled" = "true"],
    async |app| {
        let admission = &app.inside().admission;
        let ip = "203.0.113.7".parse().expect("an address");
        for client in [AttemptClient::Anonymous(ip), AttemptClient::Session("a-sid".to_owned())] {
            let admit = async || {
                let captcha = AttemptCaptcha::default();
                admission.admit_attempt("ada@example.org", &client, captcha, &mut None).await
            };
            for _ in 0..3 {
                let right = admit().await.expect("admitted");
                admission.reset_attempts(&right).await.expect("the store answers");
            }
            for number in 0..25 {
                let Err(refusal) = admit().await else { continue };
                let AttemptRefusal::Limited(limited) = refusal else { panic!("{refusal:?}") };
                app.clock.advance(Duration::from_secs(limited.retry_after_s));
                assert!(admit().await.is_ok(), "{client:?}, attempt {number}: {limited:?}");
            }
        }
    }
);
