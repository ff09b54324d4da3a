//! The admin listener: `/livez`, `/readyz`, `/metrics` and `/limits/{ip}`. The public listener
//! never serves these paths.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;

use super::answer::{self, Answer};
use super::cx::Peer;
use super::server::Service;
use crate::admission::Decision;
use crate::app::App;
use crate::health::Startup;
use crate::telemetry::Metrics;

/// The part of the path before the client's IP address.
const LIMITS: &str = "/limits/";

/// The service of the admin listener, for operators and their monitoring.
#[derive(Debug)]
pub struct Admin {
    /// The application. It is empty until the daemon has started.
    app: Arc<OnceLock<Arc<App>>>,
    /// Describes what the daemon is waiting for while it starts.
    startup: Arc<Startup>,
    /// The metrics are available even before the daemon has started, because one of them says why
    /// it does not start.
    metrics: Arc<Metrics>,
}

impl Admin {
    pub fn new(app: Arc<OnceLock<Arc<App>>>, startup: Arc<Startup>, metrics: Arc<Metrics>) -> Self {
        Self { app, startup, metrics }
    }

    /// Reports the readiness. The daemon is ready if it has started, its schema is migrated and it
    /// is not stopping. During an outage of a shared store, the daemon reports `degraded` with
    /// status 200. It does not report that it is not ready, because this would take every replica
    /// out of service at once.
    fn ready(&self) -> Answer {
        let Some(app) = self.app.get() else {
            let mut body = json!({ "status": self.startup.status(), "dependencies": {} });
            if let Some(reason) = self.startup.database() {
                body["dependencies"]["database"] = "down".into();
                body["reasons"]["database"] = reason.name().into();
            }
            return answer::status_json(StatusCode::SERVICE_UNAVAILABLE, &body);
        };
        // The prober's last check decides these states, and so does a request that failed after
        // that check. Reading them sends no query.
        let (database, store) = (app.db.health().reason(), app.store.reason());
        let unready = if app.gate.draining.load(Ordering::SeqCst) {
            Some("draining")
        } else if database.is_none() {
            app.gate.schema.outside()
        } else {
            None
        };
        // A call of `/readyz` sends no request to an external service. It reports the results of
        // the daemon's last requests to the service.
        let vendor = app.captcha.vendor().map(|vendor| !vendor.is_in_doubt());
        let breach = app.breach.as_ref().map(|breach| !breach.is_in_doubt());
        let outside = vendor != Some(false) && breach != Some(false);
        let is_whole = database.is_none() && store.is_none() && outside;
        let status = unready.unwrap_or(if is_whole { "ok" } else { "degraded" });
        let word = |up| if up { "up" } else { "down" };
        let mut body = json!({
            "status": status,
            "dependencies": {
                "database": word(database.is_none()),
                "tokenStore": word(store.is_none()),
            },
        });
        for (name, reason) in [("database", database), ("tokenStore", store)] {
            if let Some(reason) = reason {
                body["reasons"][name] = reason.name().into();
            }
        }
        for (name, up) in [("captcha", vendor), ("breachedPasswords", breach)] {
            if let Some(up) = up {
                body["dependencies"][name] = word(up).into();
            }
        }
        let code = if unready.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        answer::status_json(code, &body)
    }

    /// Reports the limits of a client's IP address at this daemon, for `latchkey limits explain`.
    /// The report itself does not count against any of these limits.
    fn limits(&self, ip: &str) -> Answer {
        let (Some(app), Ok(ip)) = (self.app.get(), ip.parse()) else {
            return answer::status_json(StatusCode::NOT_FOUND, &json!({ "status": "not found" }));
        };
        let items = app.admission.limiter.states(ip).into_iter().filter_map(|decision| {
            let (headers, retry_after) = match decision {
                Decision::Unlimited => return None,
                Decision::Allowed(headers) => (headers, None),
                Decision::Limited { headers, retry_after_s } => (headers, Some(retry_after_s)),
            };
            Some(json!({
                "policy": headers.policy_name,
                "quota": headers.quota,
                "window": headers.window_s,
                "remaining": headers.remaining,
                "reset": headers.reset_s,
                "retryAfter": retry_after,
            }))
        });
        answer::json(&json!({ "items": items.collect::<Vec<_>>() }))
    }
}

impl Service for Admin {
    async fn call(&self, peer: Peer, request: hyper::Request<Incoming>) -> Answer {
        let mut answer = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/livez") => answer::json(&json!({ "status": "ok" })),
            (&Method::GET | &Method::HEAD, "/readyz") => self.ready(),
            (&Method::GET | &Method::HEAD, "/metrics") => answer::with_type(
                StatusCode::OK,
                HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
                self.metrics.render(),
            ),
            (&Method::GET | &Method::HEAD, path) if path.starts_with(LIMITS) => {
                self.limits(path.trim_start_matches(LIMITS))
            }
            (_, "/livez" | "/readyz" | "/metrics") => {
                let body = json!({ "status": "method not allowed" });
                let mut answer = answer::status_json(StatusCode::METHOD_NOT_ALLOWED, &body);
                answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                answer
            }
            _ => answer::status_json(StatusCode::NOT_FOUND, &json!({ "status": "not found" })),
        };
        answer::add_security_headers(answer.headers_mut(), peer.transport);
        answer
    }
}
