use super::*;
use crate::captcha::{HCAPTCHA, RECAPTCHA_V2, RECAPTCHA_V3, TURNSTILE};

/// The time 2026-02-03T04:05:06Z.
const NOW: UnixMillis = 1_770_091_506_000;
const AT: &str = "2026-02-03T04:05:06.000Z";

fn expected<'a>(driver: &'static Driver, hostnames: &'a [String]) -> Expected<'a> {
    Expected { driver, hostnames, action: "forgot", score_min: 0.5 }
}

fn judged(driver: &'static Driver, body: &str) -> Judgement {
    verify(body.as_bytes(), &expected(driver, &["app.example".to_owned()]), NOW)
}

/// Returns a valid response of the driver's vendor.
fn good(driver: &'static Driver) -> serde_json::Value {
    let mut answer = serde_json::json!({
        "success": true, "challenge_ts": AT, "hostname": "app.example", "error-codes": [],
    });
    if driver.has_action {
        answer["action"] = "forgot".into();
    }
    if driver.score == Score::Needed {
        answer["score"] = 0.9.into();
    }
    answer
}

/// Verifies a valid response in which one JSON member is changed. The value null removes the
/// member.
fn with(driver: &'static Driver, member: &str, value: &serde_json::Value) -> Judgement {
    let mut answer = good(driver);
    answer[member] = value.clone();
    judged(driver, &answer.to_string())
}

const ALL: [&Driver; 4] = [&TURNSTILE, &HCAPTCHA, &RECAPTCHA_V2, &RECAPTCHA_V3];

#[test]
fn a_documented_success_is_good_until_its_age_ends_it() {
    for driver in ALL {
        let until = NOW + millis(driver.age_max) + 1;
        assert_eq!(judged(driver, &good(driver).to_string()), Judgement::Good { until });
    }
}

#[test]
fn a_member_of_another_type_is_no_answer() {
    use serde_json::json;
    let wrong: [(&str, &[serde_json::Value]); 6] = [
        ("success", &[json!("true"), json!(1), json!(null), json!([true]), json!({})]),
        ("hostname", &[json!(1), json!(true), json!(["app.example"])]),
        ("challenge_ts", &[json!(1_770_091_506), json!(true)]),
        ("error-codes", &[json!("timeout-or-duplicate"), json!([1]), json!({})]),
        ("action", &[json!(1), json!(["forgot"])]),
        ("score", &[json!("0.9"), json!(true), json!(1.5), json!(-0.1), json!(1e300)]),
    ];
    for driver in ALL {
        for (member, values) in wrong {
            for value in values {
                let judgement = with(driver, member, value);
                assert_eq!(
                    judgement,
                    Judgement::Malformed,
                    "{} {member} {value}",
                    driver.provider.name()
                );
            }
        }
    }
}

#[test]
fn what_is_no_object_of_siteverify_is_no_answer() {
    for text in [
        "",
        "null",
        "true",
        "[]",
        "{}",
        "{\"success\":true",
        "{\"success\":true}x",
        "{\"success\":false,\"success\":true}",
        "{\"success\":true,\"hostname\":\"a\",\"hostname\":\"app.example\"}",
        "{\"success\":true,\"score\":1e999}",
        "<html></html>",
        "{\"Success\":true}",
    ] {
        assert_eq!(judged(&TURNSTILE, text), Judgement::Malformed, "{text}");
        assert!(!is_answer(text.as_bytes()), "{text}");
    }
    assert_eq!(
        verify(b"{\"success\":\xff}", &expected(&TURNSTILE, &[]), NOW),
        Judgement::Malformed
    );
}

#[test]
fn each_documented_error_is_the_clients_the_operators_or_the_vendors() {
    let no = |driver, code: &str| {
        judged(driver, &format!("{{\"success\":false,\"error-codes\":[\"{code}\"]}}"))
    };
    let clients = [
        "missing-input-response",
        "invalid-input-response",
        "bad-request",
        "timeout-or-duplicate",
        "expired-input-response",
        "already-seen-response",
        "invalid-or-already-seen-response",
        "sitekey-secret-mismatch",
        "browser-error",
        "a-code-of-tomorrow",
    ];
    for driver in ALL {
        for code in clients {
            let refused = Judgement::Refused(Refusal::Vendor);
            assert_eq!(no(driver, code), refused, "{} {code}", driver.provider.name());
        }
        for code in driver.operators_codes {
            assert_eq!(
                no(driver, code),
                Judgement::Misconfigured(code),
                "{}",
                driver.provider.name()
            );
        }
        assert_eq!(no(driver, "internal-error"), Judgement::Trouble, "{}", driver.provider.name());
        assert_eq!(judged(driver, "{\"success\":false}"), Judgement::Refused(Refusal::Vendor));
    }
    for driver in ALL {
        assert!(
            driver.operators_codes.contains(&"invalid-input-secret"),
            "{}",
            driver.provider.name()
        );
    }
}

#[test]
fn success_with_errors_is_a_free_quota_that_ran_out() {
    let judgement = with(&RECAPTCHA_V3, "error-codes", &serde_json::json!(["Over free quota."]));
    assert_eq!(judgement, Judgement::Misconfigured("success-with-errors"));
}

#[test]
fn an_answer_is_for_one_of_our_hosts() {
    use serde_json::json;
    for driver in ALL {
        for host in ["APP.example", "app.EXAMPLE"] {
            assert!(matches!(with(driver, "hostname", &json!(host)), Judgement::Good { .. }));
        }
        let wrong =
            ["", "evil.example", "app.example.evil.example", "x.app.example", "not-provided"];
        for host in wrong {
            let refused = Judgement::Refused(Refusal::Hostname);
            assert_eq!(with(driver, "hostname", &json!(host)), refused, "{host}");
        }
        let none = Judgement::Refused(Refusal::Hostname);
        assert_eq!(with(driver, "hostname", &json!(null)), none);
    }
}

#[test]
fn an_answer_is_for_this_form_where_the_vendor_knows_forms() {
    use serde_json::json;
    for driver in ALL {
        for action in [json!("register"), json!(""), json!("Forgot"), json!(null)] {
            let judgement = with(driver, "action", &action);
            if driver.has_action {
                assert_eq!(judgement, Judgement::Refused(Refusal::Action), "{action}");
            } else {
                assert!(
                    matches!(judgement, Judgement::Good { .. }),
                    "{} {action}",
                    driver.provider.name()
                );
            }
        }
    }
}

#[test]
fn a_score_passes_from_the_least_one_on_and_belongs_to_v3() {
    use serde_json::json;
    for score in [json!(0.5), json!(0.501), json!(1), json!(1.0)] {
        assert!(matches!(with(&RECAPTCHA_V3, "score", &score), Judgement::Good { .. }), "{score}");
    }
    for score in [json!(0), json!(0.1), json!(0.499)] {
        let refused = Judgement::Refused(Refusal::Score);
        assert_eq!(with(&RECAPTCHA_V3, "score", &score), refused, "{score}");
    }
    let none = Judgement::Misconfigured("min-score-without-score");
    assert_eq!(with(&RECAPTCHA_V3, "score", &json!(null)), none);
    let foreign = Judgement::Misconfigured("score-without-min-score");
    assert_eq!(with(&RECAPTCHA_V2, "score", &json!(0.9)), foreign);
    assert!(matches!(with(&HCAPTCHA, "score", &json!(0.9)), Judgement::Good { .. }));
}

#[test]
fn an_answer_is_neither_old_nor_of_the_future() {
    use serde_json::json;
    for (at, good) in [
        ("2026-02-03T04:05:06Z", true),
        ("2026-02-03T05:05:06+01:00", true),
        ("2026-02-03T05:05:06+0100", true),
        ("2026-02-03T04:05:06.123456Z", true),
        // The first token is exactly five minutes old. The second token is one millisecond older.
        ("2026-02-03T04:00:06.000Z", true),
        ("2026-02-03T04:00:05.999Z", false),
        // The first token is exactly one minute in the future. The second token is one millisecond
        // further in the future.
        ("2026-02-03T04:06:06.000Z", true),
        ("2026-02-03T04:06:06.001Z", false),
        ("2026-02-03", false),
        ("", false),
        ("now", false),
        ("9999-12-31T23:59:59Z", false),
    ] {
        for driver in ALL {
            let judgement = with(driver, "challenge_ts", &json!(at));
            if good {
                assert!(matches!(judgement, Judgement::Good { .. }), "{at} {judgement:?}");
            } else {
                assert_eq!(judgement, Judgement::Refused(Refusal::Time), "{at}");
            }
        }
    }
    assert_eq!(with(&HCAPTCHA, "challenge_ts", &json!(null)), Judgement::Refused(Refusal::Time));
}
