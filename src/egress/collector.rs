//! [`Collector`]: sends telemetry over HTTP to the collector that the operator configured.
//!
//! Its requests have limits on time and size, like all requests that latchkey sends. They are not
//! measured, because each measurement would cause another request.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_http::{HttpClient, HttpError};

use super::client::tls;

/// The maximum size of a collector's response. A response can contain a report about a partial
/// success.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// An HTTP client for one collector. It must be used inside the tokio runtime.
#[derive(Clone, Debug)]
pub struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    within: Duration,
}

impl Collector {
    /// Creates a client. It opens no connection yet. `within` is the maximum time of each request.
    ///
    /// # Errors
    /// An error if the crypto provider supports no TLS version. This happens only if the build is
    /// broken.
    pub fn new(within: Duration) -> Result<Self, rustls::Error> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(within));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client =
            Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self { client, within })
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.request(request.map(Full::new)).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        tokio::time::timeout(self.within, self.exchange(request)).await?
    }
}
