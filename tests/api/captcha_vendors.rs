//! Tests of a complete daemon with a captcha vendor: which forms need a token, that a token is
//! valid only once, and what happens during an outage of the vendor.

use latchkey::clock::rfc3339;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::ask::{at_once, one_succeeds};
use crate::client::{Answer, encoded};
use crate::siteverify::{Says, Stub, refusal, success};

const RESEND: &str = "/api/resend-email-verification";

/// Runs `body` with a daemon that uses the captcha vendor, on both pairs of stores:
/// `with_vendor!(name, [settings], async |app, stub| …)`.
macro_rules! with_vendor {
    ($name:ident, [$($key:literal = $value:expr),* $(,)?], async |$app:ident, $stub:ident| $body:block) => {
        async fn $name($app: &$crate::app::TestApp, $stub: &$crate::siteverify::Stub) $body

        mod $name {
            const SETTINGS: &[(&str, &str)] = &[$(($key, $value)),*];

            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                let backend = $crate::app::Backend::Embedded;
                $crate::captcha_vendors::run(backend, SETTINGS, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn servers() {
                let backend = $crate::app::Backend::Servers;
                $crate::captcha_vendors::run(backend, SETTINGS, super::$name).await;
            }
        }
    };
}
pub(crate) use with_vendor;

/// Runs a test body on a daemon with Cloudflare Turnstile, unless the settings name another vendor.
/// [`with_vendor!`] calls this function.
pub async fn run(backend: Backend, settings: &[(&str, &str)], body: impl AsyncFn(&TestApp, &Stub)) {
    let stub = Stub::start().await;
    let mut builder = TestApp::builder(backend)
        .set("captcha.provider", "turnstile")
        .set("captcha.secret", "the-secret")
        .set("captcha.site_key", "the-site-key")
        .set("captcha.verify_url", &stub.url("/siteverify"));
    for (key, value) in settings {
        builder = builder.set(key, value);
    }
    let app = builder.start().await;
    body(&app, &stub).await;
    app.finish().await;
}

/// From now on, the vendor accepts every token for this form, even a token that was already used.
pub fn takes(app: &TestApp, stub: &Stub, action: &str) {
    stub.says_json(&success(&rfc3339(app.clock.now()), action));
}

/// Requests a recovery mail. The request contains this captcha.
pub async fn forgot(app: &TestApp, captcha: &str) -> Answer {
    let body = json!({ "email": "ada@example.org", "captcha": captcha });
    app.anonymous().post_json("/api/forgot-password", body).await
}

fn series(app: &TestApp, provider: &str, outcome: &str) -> Option<String> {
    let text = app.inside().metrics.render();
    let line = text.lines().find(|line| {
        line.starts_with("latchkey_captcha_verifications_total")
            && line.contains(&format!("provider=\"{provider}\""))
            && line.contains(&format!("outcome=\"{outcome}\""))
    })?;
    line.rsplit(' ').next().map(str::to_owned)
}

with_vendor!(a_token_is_good_once_though_the_vendor_takes_it_twice, [], async |app, stub| {
    let person = app.register("ada@example.org").await;
    app.mail_to("ada@example.org").await;
    takes(app, stub, "resend");
    let user = person.as_user();
    user.get(RESEND).await.expect_problem(400, "captcha-invalid");
    assert_eq!(stub.asked().len(), 0, "nothing sent, nothing asked");
    user.get(&format!("{RESEND}?capcha={}", encoded("token-1"))).await.expect(200);
    app.mail_to("ada@example.org").await;
    assert_eq!(stub.asked()[0].field("remoteip"), Some("127.0.0.1"));
    let again = format!("{RESEND}?captcha={}", encoded("token-1"));
    user.get(&again).await.expect_problem(400, "captcha-invalid");
    user.get(&format!("{RESEND}?captcha=token-2")).await.expect(200);
    app.mail_to("ada@example.org").await;
    assert_eq!(series(app, "turnstile", "solved").as_deref(), Some("2"));
    assert_eq!(series(app, "turnstile", "refused").as_deref(), Some("1"));
});

with_vendor!(of_parallel_uses_of_a_token_one_succeeds, [], async |app, stub| {
    let person = app.register("ada@example.org").await;
    takes(app, stub, "resend");
    let path = format!("{RESEND}?captcha=token");
    let answers = at_once(8, async |_| person.as_user().get(&path).await).await;
    one_succeeds(answers, 400, "captcha-invalid");
});

with_vendor!(
    a_token_of_one_form_is_no_good_on_another,
    ["captcha.on" = "register,forgot,exist-email,resend"],
    async |app, stub| {
        takes(app, stub, "resend");
        forgot(app, "t1").await.expect_problem(400, "captcha-invalid");
        takes(app, stub, "forgot");
        forgot(app, "t2").await.expect(200);
        let person = json!({
            "email": "eve@example.org", "password": "correct horse battery", "name": "Eve",
            "captcha": "t3",
        });
        let register = async || app.anonymous().post_json("/api/register", person.clone()).await;
        register().await.expect_problem(400, "captcha-invalid");
        takes(app, stub, "register");
        register().await.expect(200);
        app.mail_to("eve@example.org").await;
        let exists = "/api/exist-email/eve@example.org?captcha=t4";
        app.anonymous().get(exists).await.expect_problem(400, "captcha-invalid");
        takes(app, stub, "exist_email");
        app.anonymous().get(exists).await.expect(200);
    }
);

with_vendor!(
    a_token_of_another_site_is_refused,
    ["captcha.on" = "forgot", "captcha.hostnames" = "app.example,other.example"],
    async |app, stub| {
        takes(app, stub, "forgot");
        forgot(app, "t1").await.expect_problem(400, "captcha-invalid");
        let mut answer = success(&rfc3339(app.clock.now()), "forgot");
        answer["hostname"] = json!("Other.Example");
        stub.says_json(&answer);
        forgot(app, "t2").await.expect(200);
    }
);

with_vendor!(
    a_score_of_recaptcha_v3_has_to_be_reached,
    ["captcha.provider" = "recaptcha", "captcha.min_score" = "0.7", "captcha.on" = "forgot"],
    async |app, stub| {
        for (score, status) in [(0.69, 400), (0.7, 200), (0.0, 400), (1.0, 200)] {
            let mut answer = success(&rfc3339(app.clock.now()), "forgot");
            answer["score"] = json!(score);
            stub.says_json(&answer);
            forgot(app, &format!("t{score}")).await.expect(status);
        }
        assert_eq!(series(app, "recaptcha-v3", "solved").as_deref(), Some("2"));
    }
);

with_vendor!(
    keys_of_recaptcha_v3_without_a_least_score_pass_nobody,
    ["captcha.provider" = "recaptcha", "captcha.on" = "forgot"],
    async |app, stub| {
        let mut answer = success(&rfc3339(app.clock.now()), "forgot");
        answer["score"] = json!(0.9);
        stub.says_json(&answer);
        forgot(app, "t").await.expect_problem(503, "dependency-unavailable");
        assert_eq!(series(app, "recaptcha-v2", "misconfigured").as_deref(), Some("1"));
    }
);

with_vendor!(a_wrong_secret_is_a_503_and_counted, ["captcha.on" = "forgot"], async |app, stub| {
    stub.says_json(&refusal("invalid-input-secret"));
    for token in ["t1", "t2", "t3", "t4"] {
        let answer = forgot(app, token).await.expect_problem(503, "dependency-unavailable");
        assert!(answer.header("retry-after").is_some());
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
    assert_eq!(series(app, "turnstile", "misconfigured").as_deref(), Some("4"));
    assert_eq!(ready(app).await["dependencies"]["captcha"], "up");
});

/// Returns the body of the response to `/readyz`, which must be a 200.
async fn ready(app: &TestApp) -> Value {
    app.admin().get("/readyz").await.expect(200).json()
}

with_vendor!(
    an_outage_is_a_503_and_never_a_refusal,
    ["captcha.on" = "forgot"],
    async |app, stub| {
        assert_eq!(ready(app).await["status"], "ok");
        for says in [Says::Json(500, "{}".into()), Says::Reset, Says::Nothing] {
            stub.says(says);
            forgot(app, "t").await.expect_problem(503, "dependency-unavailable");
        }
        // latchkey now knows about the outage, so no request asks the vendor.
        let asked = stub.asked().len();
        for _ in 0..20 {
            forgot(app, "t").await.expect_problem(503, "dependency-unavailable");
        }
        assert_eq!(stub.asked().len(), asked);
        let body = ready(app).await;
        assert_eq!(
            (&body["status"], &body["dependencies"]["captcha"]),
            (&json!("degraded"), &json!("down"))
        );
        app.anonymous().get("/api/captcha").await.expect_problem(404, "not-found");
        app.clock.advance(std::time::Duration::from_secs(10));
        takes(app, stub, "forgot");
        forgot(app, "t").await.expect(200);
        assert_eq!(ready(app).await["status"], "ok");
        assert!(series(app, "turnstile", "unavailable").is_some());
    }
);

with_vendor!(where_no_captcha_is_needed_an_outage_hinders_nobody, [], async |app, stub| {
    stub.says(Says::Json(500, "{}".into()));
    forgot(app, "t").await.expect(200);
    takes(app, stub, "forgot");
    forgot(app, "t").await.expect(200);
    assert_eq!(stub.asked().len(), 2);
});

with_vendor!(
    the_page_that_asks_shows_the_widget_and_allows_it_alone,
    ["captcha.on" = "forgot"],
    async |app, stub| {
        let page = app.anonymous().get("/reset-password").await.expect(200);
        let policy = page.header("content-security-policy").expect("a policy").to_owned();
        let vendor = "https://challenges.cloudflare.com";
        assert!(policy.contains(&format!("script-src 'self' {vendor};")), "{policy}");
        assert!(policy.contains(&format!("frame-src 'self' {vendor};")), "{policy}");
        assert!(policy.contains("style-src 'self';") && policy.contains("connect-src 'self';"));
        assert_eq!(policy.matches("https:").count(), 2, "{policy}");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = page.text();
        assert!(text.contains(
            "class=\"cf-turnstile\" data-sitekey=\"the-site-key\" data-action=\"forgot\""
        ));
        assert!(text.contains("src=\"https://challenges.cloudflare.com/turnstile/v0/api.js\""));
        assert!(!text.contains("the-secret") && !text.contains("<script>"), "{text}");
        let other = app.anonymous().get("/docs").await.expect(200);
        assert!(!other.header("content-security-policy").expect("a policy").contains(vendor));

        takes(app, stub, "forgot");
        app.register("ada@example.org").await;
        app.mail_to("ada@example.org").await;
        let form = [("action", "request"), ("email", "ada@example.org")];
        let refused = app.anonymous().post_form("/reset-password", &form).await;
        assert!(refused.text().contains("cf-turnstile"), "asked again: {}", refused.text());
        app.no_mail_to("ada@example.org").await;
        let solved = [form[0], form[1], ("captcha", ""), ("cf-turnstile-response", "token")];
        app.anonymous().post_form("/reset-password", &solved).await.expect(200);
        app.mail_to("ada@example.org").await;
    }
);

#[tokio::test(flavor = "multi_thread")]
async fn each_vendors_page_allows_what_that_vendor_documents() {
    let hcaptcha = "https://hcaptcha.com https://*.hcaptcha.com";
    let google = "https://www.google.com/recaptcha/ https://www.gstatic.com/recaptcha/";
    let frames = "https://www.google.com/recaptcha/ https://recaptcha.google.com/recaptcha/";
    for (provider, score, script, frame, style, shows) in [
        ("hcaptcha", None, hcaptcha, hcaptcha, hcaptcha, "class=\"h-captcha\""),
        ("recaptcha", None, google, frames, "", "class=\"g-recaptcha\""),
        ("recaptcha", Some("0.5"), google, frames, "", "api.js?render=the-site-key\""),
    ] {
        let mut builder = TestApp::builder(Backend::Embedded)
            .set("captcha.provider", provider)
            .set("captcha.secret", "the-secret")
            .set("captcha.site_key", "the-site-key")
            .set("captcha.on", "forgot");
        if let Some(score) = score {
            builder = builder.set("captcha.min_score", score);
        }
        let app = builder.start().await;
        let page = app.anonymous().get("/reset-password").await.expect(200);
        let policy = page.header("content-security-policy").expect("a policy").to_owned();
        let has = |directive: &str, more: &str| {
            let more = if more.is_empty() { String::new() } else { format!(" {more}") };
            assert!(policy.contains(&format!("{directive} 'self'{more};")), "{policy}");
        };
        has("script-src", script);
        has("frame-src", frame);
        has("style-src", style);
        has("connect-src", style);
        assert!(page.text().contains(shows), "{}", page.text());
        app.finish().await;
    }
}
