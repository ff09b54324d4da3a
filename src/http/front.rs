//! The service of the public listener: the dispatcher, and 503 while a daemon waits for its database.

use std::sync::{Arc, OnceLock};

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use serde_json::json;

use super::answer::{self, Answer};
use super::cx::Peer;
use super::dispatch::Dispatcher;
use super::server::Service;

/// Empty until the daemon is started.
#[derive(Default)]
pub struct Front(OnceLock<Arc<Dispatcher>>);

impl Front {
    /// Lets requests in. Once.
    pub fn open(&self, dispatcher: Dispatcher) {
        let _ = self.0.set(Arc::new(dispatcher));
    }
}

impl Service for Front {
    async fn call(&self, peer: Peer, request: hyper::Request<Incoming>) -> Answer {
        match self.0.get() {
            Some(dispatcher) => dispatcher.serve(peer, request).await,
            None => starting(peer),
        }
    }
}

/// A problem (RFC 9457) without what only a started daemon knows: the trace, and the address of its pages.
fn starting(peer: Peer) -> Answer {
    let body = json!({
        "type": "about:blank",
        "title": "A dependency is unavailable",
        "status": 503,
        "detail": "The daemon starts and waits for its database. Try again in a few seconds.",
        "code": "dependency-unavailable",
    });
    let mut answer = answer::status_json(StatusCode::SERVICE_UNAVAILABLE, &body);
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static("application/problem+json");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer::add_security_headers(headers, peer.transport);
    answer
}
