//! The service of the public listener. While the daemon waits for its database, the service
//! responds with 503. After that, it passes requests to the dispatcher.

use std::sync::{Arc, OnceLock};

use hyper::body::Incoming;

use super::answer::{self, Answer, TokenShown};
use super::cx::{Peer, hex};
use super::dispatch::Dispatcher;
use super::server::Service;
use crate::problem::{Code, Problem};
use crate::secret::random_bytes;

/// The service of the public listener. It has a dispatcher as soon as the daemon has started.
pub struct Front {
    dispatcher: OnceLock<Arc<Dispatcher>>,
    public_url: String,
}

impl Front {
    /// Creates the service without a dispatcher. The problems in its responses link to pages at
    /// `public_url`.
    pub fn new(public_url: &str) -> Self {
        Self { dispatcher: OnceLock::new(), public_url: public_url.to_owned() }
    }

    /// Sets the dispatcher, so that requests are handled. Only the first call has an effect.
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

/// The response while the daemon starts. Its trace id is random and belongs to no trace, because
/// the request is not recorded.
fn starting(peer: Peer, public_url: &str) -> Answer {
    let problem = Problem::new(Code::DependencyUnavailable)
        .detail("The daemon is starting and waits for its database. Try again in a few seconds.")
        .retry_after(5);
    let trace_id = hex(&random_bytes::<16>());
    let mut answer = answer::problem(&problem, &trace_id, public_url, TokenShown::No);
    answer::add_security_headers(answer.headers_mut(), peer.transport);
    answer
}
