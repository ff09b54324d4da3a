//! Tests that login, forgot and reset do not reveal which accounts exist. The responses have the
//! same status, the same headers in the same order, and the same bytes.
//!
//! No test checks a response time. `cargo bench -- enumeration` shows that the response times are
//! equal too.

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{TestApp, both};
use crate::ask::sql;
use crate::client::Answer;

/// Returns the status, the headers in order, and the body. The request id, the trace id and the
/// date are removed, because they differ between requests.
fn bytes(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let mask = |name: &str| ["date", "x-request-id"].contains(&name);
    let headers = answer.headers.iter().map(|(name, value)| {
        let value = value.to_str().expect("ASCII").to_owned();
        (name.to_string(), if mask(name.as_str()) { String::new() } else { value })
    });
    let mut body = answer.text();
    if let Ok(parsed) = serde_json::from_slice::<Value>(&answer.body)
        && let Some(trace) = parsed["traceId"].as_str()
    {
        assert_eq!(trace.len(), 32);
        body = body.replace(trace, "");
    }
    (answer.status, headers.collect(), body)
}

/// Creates one email address of each kind: known, unknown, unverified, disabled, and of an account
/// with a second factor.
async fn kinds(app: &TestApp) -> [String; 5] {
    let kinds = ["known", "unknown", "unverified", "disabled", "two-factors"];
    let emails = kinds.map(|kind| format!("{kind}@example.org"));
    app.verified(&emails[0]).await;
    app.register(&emails[2]).await;
    app.mail_to(&emails[2]).await;
    app.verified(&emails[3]).await;
    crate::factors::enrolled(app, &emails[4]).await;
    sql(app, "UPDATE users SET status = 'disabled' WHERE email_normal = 'disabled@example.org'")
        .await;
    // The registrations have used up a part of the limits. After one day all kinds of email address
    // have the same limits again.
    app.clock.advance(Duration::from_hours(24));
    emails
}

/// Sends the same request for each kind of email address, `turns` times. Each kind uses its own IP
/// address. All responses of a turn must be equal.
async fn alike(
    app: &TestApp,
    turns: usize,
    ask: impl AsyncFn(&crate::client::Client, &str) -> Answer,
) {
    let emails = kinds(app).await;
    let clients: Vec<_> = (0..emails.len())
        .map(|n| app.anonymous().header("x-forwarded-for", &format!("198.51.100.{n}")))
        .collect();
    for turn in 0..turns {
        let first = bytes(&ask(&clients[0], &emails[0]).await);
        for (client, email) in clients.iter().zip(&emails).skip(1) {
            assert_eq!(bytes(&ask(client, email).await), first, "{email}, turn {turn}");
        }
    }
}

both!(
    a_login_is_refused_alike,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        // latchkey verifies the password of the first six attempts. The back-off refuses the next
        // four attempts, and the limit of the IP address refuses the last two.
        alike(app, 12, async |client, email| {
            let body = json!({ "email": email, "password": "not the password" });
            client.post_json("/api/login", body).await
        })
        .await;
    }
);

both!(
    a_recovery_is_answered_alike,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        // Three requests send a mail. The mail budget of the recipient's address refuses two
        // requests, and the limit of the IP address refuses one.
        alike(app, 6, async |client, email| {
            client.post_json("/api/forgot-password", json!({ "email": email })).await
        })
        .await;
    }
);

both!(
    a_reset_is_refused_alike,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        // A reset request contains no email address. Only an earlier recovery request could make
        // the responses differ.
        alike(app, 4, async |client, email| {
            client.post_json("/api/forgot-password", json!({ "email": email })).await.expect(200);
            let body = json!({ "token": "x".repeat(43), "newPassword": "a quite new password" });
            client.post_json("/api/reset-password", body).await
        })
        .await;
    }
);
