//! Tests of the drivers for the captcha vendors, against a stub of the siteverify API. They check
//! the requests that the drivers send, and the result of each possible response.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use latchkey::captcha::Vendor;
use latchkey::captcha::vendor::{Checked, LIMITS, VerificationError};
use latchkey::clock::{Clock, rfc3339};
use latchkey::config::{Captcha, CaptchaFallback, CaptchaPoint, CaptchaProvider};
use latchkey::egress::{EgressError, Limits};
use latchkey::secret::Secret;
use latchkey::telemetry::Metrics;
use serde_json::{Value, json};

use crate::siteverify::{Says, Stub, refusal, success};

const CLIENT: &str = "2001:db8::7";
const TOKEN: &str = "0.a-token_of.the-widget";

/// The time limits of a request that must end within 200 ms.
const HASTY: Limits = Limits { total: Duration::from_millis(200), ..LIMITS };
/// The time limits of a request that must not time out, even on a slow machine.
const PATIENT: Limits =
    Limits { connect: Duration::from_secs(20), total: Duration::from_secs(20), ..LIMITS };

struct Bench {
    stub: Stub,
    vendor: Vendor,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Bench {
    async fn new(provider: CaptchaProvider, min_score: Option<f64>, limits: Limits) -> Self {
        let stub = Stub::start().await;
        let clock = Clock::manual(Clock::System.now());
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let settings = Captcha {
            provider,
            on: vec![CaptchaPoint::Forgot],
            secret: Some(Secret::new("the-secret".to_owned())),
            site_key: Some("the-site-key".to_owned()),
            hostnames: vec!["latchkey.test".to_owned()],
            min_score,
            verify_url: Some(stub.url("/siteverify")),
            fallback: CaptchaFallback::None,
        };
        let vendor = Vendor::new(&settings, limits, clock.clone(), metrics.clone());
        let vendor = vendor.expect("settings").expect("a vendor");
        Self { stub, vendor, clock, metrics }
    }

    async fn turnstile(limits: Limits) -> Self {
        Self::new(CaptchaProvider::CloudflareTurnstile, None, limits).await
    }

    /// Returns a success response with the current time, in the form that this vendor documents.
    fn success(&self) -> Value {
        let mut answer = success(&rfc3339(self.clock.now()), "forgot");
        if self.vendor.driver().provider.name() == "recaptcha-v3" {
            answer["score"] = json!(0.7);
        }
        answer
    }

    async fn check(&self, token: &str) -> Result<Checked, VerificationError> {
        let client: IpAddr = CLIENT.parse().expect("an address");
        self.vendor.check(token, CaptchaPoint::Forgot, client).await
    }

    async fn says(&self, says: Says) -> Result<Checked, VerificationError> {
        self.stub.says(says);
        self.check(TOKEN).await
    }
}

async fn each() -> Vec<Bench> {
    vec![
        Bench::turnstile(PATIENT).await,
        Bench::new(CaptchaProvider::Hcaptcha, None, PATIENT).await,
        Bench::new(CaptchaProvider::Recaptcha, None, PATIENT).await,
        Bench::new(CaptchaProvider::Recaptcha, Some(0.5), PATIENT).await,
    ]
}

fn is_good(checked: &Result<Checked, VerificationError>) -> bool {
    matches!(checked, Ok(Checked::Good { .. }))
}

#[tokio::test]
async fn a_vendor_is_asked_as_it_documents() {
    for bench in each().await {
        let name = bench.vendor.driver().provider.name();
        bench.stub.says_json(&bench.success());
        assert!(is_good(&bench.check(TOKEN).await), "{name}");
        let asked = bench.stub.asked();
        assert_eq!(asked.len(), 1);
        let asked = &asked[0];
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/siteverify"));
        assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(asked.header("accept"), Some("application/json"));
        assert_eq!(asked.header("user-agent"), Some("latchkey"));
        assert_eq!(asked.header("traceparent"), None);
        assert_eq!(asked.field("secret"), Some("the-secret"));
        assert_eq!(asked.field("response"), Some(TOKEN));
        assert_eq!(asked.field("remoteip"), Some(CLIENT));
        let key = (name == "hcaptcha").then_some("the-site-key");
        assert_eq!(asked.field("sitekey"), key, "{name}");
    }
}

#[tokio::test]
async fn every_documented_error_of_a_token_refuses_it() {
    for bench in each().await {
        for code in [
            "missing-input-response",
            "invalid-input-response",
            "bad-request",
            "timeout-or-duplicate",
            "expired-input-response",
            "already-seen-response",
            "invalid-or-already-seen-response",
            "sitekey-secret-mismatch",
        ] {
            bench.stub.says_json(&refusal(code));
            assert_eq!(bench.check(TOKEN).await, Ok(Checked::Refused), "{code}");
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_the_operators_error_whatever_the_status() {
    for bench in each().await {
        for status in [200, 400, 401, 403] {
            for code in ["missing-input-secret", "invalid-input-secret"] {
                let checked = bench.says(Says::Json(status, refusal(code).to_string())).await;
                assert_eq!(checked, Err(VerificationError::Misconfigured(code)), "{status}");
            }
        }
        assert!(!bench.vendor.is_in_doubt(), "it answers");
    }
}

#[tokio::test]
async fn a_vendor_in_trouble_is_no_refusal() {
    for bench in each().await {
        bench.stub.says_json(&refusal("internal-error"));
        assert_eq!(bench.check(TOKEN).await, Err(VerificationError::Trouble));
    }
}

#[tokio::test]
async fn an_answer_for_another_host_form_or_score_is_refused() {
    for bench in each().await {
        let driver = bench.vendor.driver();
        let changed = async |member: &str, value: Value| {
            let mut answer = bench.success();
            answer[member] = value;
            bench.stub.says_json(&answer);
            bench.check(TOKEN).await
        };
        assert_eq!(changed("hostname", json!("evil.test")).await, Ok(Checked::Refused));
        let other_form = changed("action", json!("register")).await;
        assert_eq!(is_good(&other_form), !driver.has_action, "{}", driver.provider.name());
        if driver.provider.name() == "recaptcha-v3" {
            assert_eq!(changed("score", json!(0.499)).await, Ok(Checked::Refused));
            assert!(is_good(&changed("score", json!(0.5)).await));
        }
        bench.clock.advance(driver.age_max + Duration::from_millis(1));
        let at = rfc3339(bench.clock.now() - 1_000 - 300_000);
        assert_eq!(changed("challenge_ts", json!(at)).await, Ok(Checked::Refused));
    }
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused_unasked() {
    for bench in each().await {
        bench.stub.says_json(&bench.success());
        let max = bench.vendor.driver().token_bytes_max;
        let long = "a".repeat(max + 1);
        for wrong in ["", " ", "a b", "a\n", "tok\u{e9}n", "\0", long.as_str()] {
            assert_eq!(bench.check(wrong).await, Ok(Checked::Refused), "{wrong:?}");
        }
        assert_eq!(bench.stub.asked().len(), 0);
        assert!(is_good(&bench.check(&long[..max]).await));
    }
    assert_eq!(Bench::turnstile(PATIENT).await.vendor.driver().token_bytes_max, 2_048);
}

#[tokio::test]
async fn a_hostile_answer_is_none() {
    let bench = Bench::turnstile(PATIENT).await;
    let good = bench.success().to_string();
    let half = good[..good.len() / 2].to_owned();
    let twice = good.replacen('{', "{\"success\":true,", 1);
    for body in [
        half,
        twice,
        good.replace(":true", ":\"true\""),
        good.replace(":true", ":1"),
        good.replace(":true", ":null"),
        good.replace("\"latchkey.test\"", "7"),
        good.replace("[]", "\"timeout-or-duplicate\""),
        good.replace("\"cdata\"", "\"score\":\"0.9\",\"cdata\""),
        good.replace("\"cdata\"", "\"score\":1e308,\"cdata\""),
        format!("{good}{good}"),
        format!("[{good}]"),
        String::new(),
    ] {
        let checked = bench.says(Says::Json(200, body.clone())).await;
        assert_eq!(checked, Err(VerificationError::Malformed), "{body}");
    }
    for kind in ["text/html", "text/plain", "application/jsonp", "text/json"] {
        let checked = bench.says(Says::Body(200, kind, good.clone())).await;
        assert_eq!(checked, Err(VerificationError::Malformed), "{kind}");
    }
    let html = "<!doctype html><title>Just a moment</title>".to_owned();
    let checked = bench.says(Says::Body(200, "text/html; charset=utf-8", html)).await;
    assert_eq!(checked, Err(VerificationError::Malformed));
    let with_charset = Says::Body(200, "application/json; charset=utf-8", good);
    assert!(is_good(&bench.says(with_charset).await));
    assert!(!bench.vendor.is_in_doubt(), "a token could bring such an answer about");
}

#[tokio::test]
async fn another_status_is_no_answer_and_no_redirect_is_followed() {
    let bench = Bench::turnstile(PATIENT).await;
    let good = bench.success().to_string();
    for status in [201, 206, 400, 401, 403, 404, 429] {
        let checked = bench.says(Says::Json(status, good.clone())).await;
        assert_eq!(checked, Err(VerificationError::Status(status)));
    }
    let empty = "HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(bench.says(Says::Raw(empty.into())).await, Err(VerificationError::Status(204)));
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = bench.stub.url("/elsewhere");
        let text = format!(
            "HTTP/1.1 {status} X\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let checked = bench.says(Says::Raw(text.into())).await;
        assert_eq!(checked, Err(VerificationError::Status(status)));
    }
    assert!(bench.stub.asked().iter().all(|asked| asked.path == "/siteverify"));
    assert!(!bench.vendor.is_in_doubt());
    assert_eq!(bench.says(Says::Json(500, good)).await, Err(VerificationError::Status(500)));
}

#[tokio::test]
async fn an_answer_is_bounded_in_length() {
    let bench = Bench::turnstile(PATIENT).await;
    let good = bench.success().to_string();
    let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    assert!(is_good(&bench.says(Says::Json(200, padded(64 * 1024))).await));
    for length in [64 * 1024 + 1, 1024 * 1024] {
        let checked = bench.says(Says::Json(200, padded(length))).await;
        assert_eq!(checked, Err(VerificationError::Egress(EgressError::TooLarge)));
    }
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(1024 * 1024));
    let checked = bench.says(Says::Raw(head.into())).await;
    assert!(
        matches!(checked, Err(VerificationError::Egress(EgressError::Broken(_)))),
        "{checked:?}"
    );
}

#[tokio::test]
async fn a_connection_that_breaks_is_no_answer() {
    let bench = Bench::turnstile(PATIENT).await;
    for says in [
        Says::Reset,
        Says::Raw(Vec::new()),
        Says::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()),
        Says::Raw(b"SSH-2.0-x\r\n".to_vec()),
    ] {
        let fresh = Bench::turnstile(PATIENT).await;
        let checked = fresh.says(says.clone()).await;
        assert!(
            matches!(checked, Err(VerificationError::Egress(EgressError::Broken(_)))),
            "{says:?} {checked:?}"
        );
        let told = checked.expect_err("no answer").to_string();
        assert!(!told.contains("the-secret") && !told.contains(TOKEN), "{told}");
    }
    drop(bench.stub);
    let address = "127.0.0.1:9";
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens at {address}");
}

#[tokio::test]
async fn silence_and_drips_end_in_time() {
    for says in [Says::Nothing, Says::Drip] {
        let bench = Bench::turnstile(HASTY).await;
        let started = Instant::now();
        let checked = bench.says(says).await;
        assert_eq!(checked, Err(VerificationError::Egress(EgressError::Timeout)));
        assert!(started.elapsed() >= HASTY.total);
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
    assert_eq!((LIMITS.connect, LIMITS.total), (Duration::from_secs(1), Duration::from_secs(2)));
}

#[tokio::test]
async fn three_failures_stop_the_asking_and_one_answer_starts_it_again() {
    let bench = Bench::turnstile(PATIENT).await;
    for _ in 0..3 {
        assert!(!bench.vendor.is_in_doubt());
        assert_eq!(
            bench.says(Says::Json(503, "{}".into())).await,
            Err(VerificationError::Status(503))
        );
    }
    assert!(bench.vendor.is_in_doubt());
    bench.stub.says_json(&bench.success());
    assert_eq!(bench.check(TOKEN).await, Err(VerificationError::NotAsked));
    assert_eq!(bench.stub.asked().len(), 3);
    bench.clock.advance(Duration::from_secs(10));
    assert!(is_good(&bench.check(TOKEN).await));
    assert!(!bench.vendor.is_in_doubt());
}

#[tokio::test]
async fn requests_are_measured_without_what_they_carry() {
    let bench = Bench::turnstile(PATIENT).await;
    bench.stub.says_json(&bench.success());
    assert!(is_good(&bench.check(TOKEN).await));
    assert!(bench.says(Says::Reset).await.is_err());
    assert!(bench.says(Says::Json(599, "{}".into())).await.is_err());
    let text = bench.metrics.render();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("http_client_request_duration_seconds_count"))
        .collect();
    assert_eq!(lines.len(), 3, "{text}");
    let has = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(has("http_response_status_code=\"200\"") && has("error_type=\"broken\""), "{lines:?}");
    assert!(!has("599"), "a status that nobody registered makes no series: {lines:?}");
    assert!(lines.iter().all(|line| line.contains("server_address=\"127.0.0.1\"")));
    assert!(!text.contains("the-secret") && !text.contains(TOKEN) && !text.contains("siteverify"));
    assert!(!format!("{:?}", bench.vendor).contains("the-secret"));
}
