//! The service of the public listener: the dispatcher, and 503 while a daemon waits for its database.

use std::sync::{Arc, OnceLock};

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use serde_json::json;

use super::answer::{self, Answer};
use super::cx::{Peer, hex};
use super::dispatch::Dispatcher;
use super::server::Service;
use crate::problem::Code;
use crate::secret::random_bytes;

/// The dispatcher, once the daemon has started.
pub struct Front {
    dispatcher: OnceLock<Arc<Dispatcher>>,
    public_url: String,
}

impl Front {
    /// Without a dispatcher. The pages of problems are at `public_url`.
    pub fn new(public_url: &str) -> Self {
        Self { dispatcher: OnceLock::new(), public_url: public_url.to_owned() }
    }

    /// Lets requests in. Once.
    pub fn open(&self, dispatcher: Dispatcher) {
        let _ = self.dispatcher.set(Arc::new(dispatcher));
    }
}

impl Service for Front {
    async fn call(&self, peer: Peer, request: hyper::Request<Incoming>) -> Answer {
        match self.dispatcher.get() {
            Some(dispatcher) => dispatcher.serve(peer, request).await,
            None => starting(peer, &self.public_url),
        }
    }
}

/// A problem (RFC 9457). Its trace is of no use: nothing else is known of the request.
fn starting(peer: Peer, public_url: &str) -> Answer {
    let code = Code::DependencyUnavailable;
    let body = json!({
        "type": format!("{public_url}/problems/{}", code.name()),
        "title": code.title(),
        "status": code.status().as_u16(),
        "detail": "The daemon starts and waits for its database. Try again in a few seconds.",
        "code": code.name(),
        "traceId": hex(&random_bytes::<16>()),
    });
    let mut answer = answer::status_json(StatusCode::SERVICE_UNAVAILABLE, &body);
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static("application/problem+json");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer::add_security_headers(headers, peer.transport);
    answer
}
