//! Tests of `/metrics` on a daemon that has served requests.

use std::time::Duration;

use super::registry::{hold, missing, sum};
use crate::app::{Backend, TestApp, both};
use crate::poll::eventually;
use crate::siteverify::{Says, Stub};

/// The time that a test waits for values which the daemon measures periodically.
const PATIENCE: Duration = Duration::from_secs(20);

async fn scrape(app: &TestApp) -> String {
    app.admin().get("/metrics").await.expect(200).text()
}

/// Sends so many requests that every instrument has measured something.
async fn drive(app: &TestApp) {
    let mut person = app.verified("ada@example.org").await;
    person.refresh().await.expect(200);
    app.anonymous().login("ada@example.org", "quite another one").await.expect(401);
    app.anonymous().forgot("ada@example.org").await.expect(200);
    app.outbox_is_empty().await;
}

/// Starts a daemon that has served these requests, and a stub of the service for breached
/// passwords.
pub async fn driven(backend: Backend) -> (TestApp, Stub) {
    let stub = Stub::start().await;
    stub.says(Says::Body(200, "text/plain", "0018A45C4D1DEF81644B54AB7F969B88D65:3".to_owned()));
    let url = stub.url("/range/");
    let builder = TestApp::builder(backend).set("rate_limit.enabled", "true");
    let app = builder.set("password.breach_url", &url).start().await;
    drive(&app).await;
    (app, stub)
}

async fn every_instrument_is_scraped(backend: Backend) {
    let (app, _stub) = Box::pin(driven(backend)).await;
    let text = eventually("a series of every instrument", PATIENCE, async || {
        let text = scrape(&app).await;
        let missing = missing(&text);
        // The mailer measures its values a moment after it has sent its mails. Only these values
        // are allowed to be missing at first.
        let late = missing.iter().all(|name| name.starts_with("latchkey.mail."));
        assert!(late, "never measured: {missing:?}");
        missing.is_empty().then_some(text)
    })
    .await;
    hold(&text);
    let system = if backend == Backend::Embedded { "sqlite" } else { "redis" };
    let operations = "db_client_operation_duration_seconds_count";
    assert!(sum(&text, operations, &[("db_system_name", system)]) > 0.0, "{text}");
    assert!(sum(&text, "process_memory_usage_bytes", &[]) > 1e6, "{text}");
    assert!(sum(&text, "latchkey_pool_workers", &[("pool", "password")]) > 0.0, "{text}");
    app.finish().await;
}

mod a_driven_daemon_has_a_series_of_every_instrument {
    use super::every_instrument_is_scraped;
    use crate::app::Backend;

    #[tokio::test(flavor = "multi_thread")]
    async fn embedded() {
        every_instrument_is_scraped(Backend::Embedded).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn servers() {
        every_instrument_is_scraped(Backend::Servers).await;
    }
}

both!(a_request_is_counted_by_route_and_status_and_never_by_path, async |app| {
    app.anonymous().get("/api/verify-email/a-secret-of-somebody").await.expect(400);
    app.anonymous().get("/api/exist-email/planted%40example.org").await;
    app.anonymous().get("/planted/path").await.expect(404);
    let text = scrape(app).await;
    let requests = "http_server_request_duration_seconds_count";
    let of_route =
        [("http_route", "/api/verify-email/{token}"), ("http_response_status_code", "400")];
    assert!((sum(&text, requests, &of_route) - 1.0).abs() < f64::EPSILON, "{text}");
    let nowhere = [("http_response_status_code", "404")];
    assert!((sum(&text, requests, &nowhere) - 1.0).abs() < f64::EPSILON, "{text}");
    for planted in ["a-secret-of-somebody", "planted"] {
        assert!(!text.contains(planted), "{text}");
    }
    assert!(sum(&text, "http_server_active_requests", &[]).abs() < f64::EPSILON, "{text}");
});
