//! The admin listener: `/livez`, `/readyz`, `/metrics`. Never on the public one.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;

use super::answer::{self, Answer};
use super::cx::Peer;
use super::server::Service;
use crate::app::App;
use crate::telemetry::Metrics;

/// A dependency that does not answer a probe within this time counts as down.
const PROBE_WITHIN: Duration = Duration::from_millis(500);

/// Answers operators and their machines.
#[derive(Debug)]
pub struct Admin {
    /// Empty until the daemon is started.
    app: Arc<OnceLock<Arc<App>>>,
    /// There from the start: why it does not start is a metric too.
    metrics: Arc<Metrics>,
}

impl Admin {
    /// The listener's service.
    pub fn new(app: Arc<OnceLock<Arc<App>>>, metrics: Arc<Metrics>) -> Self {
        Self { app, metrics }
    }

    /// Ready is who is started, migrated and not stopping. A shared store's outage is `degraded` with 200, never unready:
    /// it would take every replica out at once (operations §4).
    async fn ready(&self) -> Answer {
        let Some(app) = self.app.get() else {
            let body = json!({ "status": "starting", "dependencies": {} });
            return answer::status_json(StatusCode::SERVICE_UNAVAILABLE, &body);
        };
        let database = tokio::time::timeout(PROBE_WITHIN, app.db.ping());
        let store = tokio::time::timeout(PROBE_WITHIN, app.store.ping());
        let (database, store) = tokio::join!(database, store);
        let database = matches!(database, Ok(Ok(())));
        let store = matches!(store, Ok(Ok(())));
        let unready = if app.gate.draining.load(Ordering::SeqCst) {
            Some("draining")
        } else if database {
            outside_window(app).await
        } else {
            None
        };
        // Nobody outside is asked for a probe: what the last requests told.
        let vendor = app.captcha.vendor().map(|vendor| !vendor.is_in_doubt());
        let breach = app.breach.as_ref().map(|breach| !breach.is_in_doubt());
        let outside = vendor != Some(false) && breach != Some(false);
        let is_whole = database && store && outside;
        let status = unready.unwrap_or(if is_whole { "ok" } else { "degraded" });
        let word = |up| if up { "up" } else { "down" };
        let mut body = json!({
            "status": status,
            "dependencies": { "database": word(database), "tokenStore": word(store) },
        });
        for (name, up) in [("captcha", vendor), ("breachedPasswords", breach)] {
            if let Some(up) = up {
                body["dependencies"][name] = word(up).into();
            }
        }
        let code = if unready.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        answer::status_json(code, &body)
    }
}

/// On which side of this binary's window the schema is; in doubt it is within, since the probe of the database said up.
async fn outside_window(app: &App) -> Option<&'static str> {
    let schema = tokio::time::timeout(PROBE_WITHIN, app.db.schema()).await.ok()?.ok()?;
    if schema.contracted().is_some() {
        return Some("outdated");
    }
    (!schema.pending.is_empty()).then_some("unmigrated")
}

impl Service for Admin {
    async fn call(&self, peer: Peer, request: hyper::Request<Incoming>) -> Answer {
        let mut answer = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/livez") => answer::json(&json!({ "status": "ok" })),
            (&Method::GET | &Method::HEAD, "/readyz") => self.ready().await,
            (&Method::GET | &Method::HEAD, "/metrics") => answer::with_type(
                StatusCode::OK,
                HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
                self.metrics.render(),
            ),
            (_, "/livez" | "/readyz" | "/metrics") => {
                let body = json!({ "status": "method not allowed" });
                let mut answer = answer::status_json(StatusCode::METHOD_NOT_ALLOWED, &body);
                answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                answer
            }
            _ => answer::status_json(StatusCode::NOT_FOUND, &json!({ "status": "not found" })),
        };
        answer::harden(answer.headers_mut(), peer.transport);
        answer
    }
}
