//! [`Egress`]: an HTTP client with limits on the time and the size of each request.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry::KeyValue;

use super::Endpoint;
use crate::authorities::Authorities;
use crate::telemetry::Metrics;
use crate::telemetry::trace::{self, SpanAttributes};

/// The maximum number of idle connections to one host that stay open. It is as high as the number
/// of workers in a pool.
const IDLE_CONNECTIONS_MAX: usize = 8;
/// How long an idle connection stays open. This is shorter than the timeouts of vendors and load
/// balancers, so a request rarely uses a connection that the other side is closing. A new
/// connection also resolves the host name again.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// The maximum size of the head of a response.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The maximum length of an error text that comes from a library.
const REASON_CHARS_MAX: usize = 200;
/// The `User-Agent` of all requests, without latchkey's version. Requests need this header, because
/// services of breached passwords refuse requests without it.
const AGENT: HeaderValue = HeaderValue::from_static("latchkey");

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The maximum time until the TCP connection is established.
    pub connect: Duration,
    /// The maximum time from the DNS lookup to the last byte of the response.
    pub total: Duration,
    /// The maximum size of the response body.
    pub body_bytes_max: usize,
}

/// A response with any status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status. Redirects are not followed, so a redirect is returned like any other
    /// status.
    pub status: u16,
    /// Whether the `Content-Type` of the response is JSON.
    pub is_json: bool,
    /// The body. It has at most [`Limits::body_bytes_max`] bytes.
    pub body: Bytes,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EgressError {
    /// The request took longer than [`Limits::total`].
    Timeout,
    /// The connection or its TLS session could not be established. The text comes from a library.
    Connect(String),
    /// The connection broke, or the response is not HTTP. The text comes from a library.
    Broken(String),
    /// The response body is larger than [`Limits::body_bytes_max`].
    TooLarge,
}

impl EgressError {
    /// The value of the attribute `error.type` in metrics.
    const fn name(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect(_) => "connect",
            Self::Broken(_) => "broken",
            Self::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no response in time"),
            Self::Connect(reason) => write!(f, "no connection: {reason}"),
            Self::Broken(reason) => write!(f, "the response was cut off: {reason}"),
            Self::TooLarge => f.write_str("the response is too long"),
        }
    }
}

impl Error for EgressError {}

/// An HTTP client for the endpoints that the operator configured. Clones share their connections.
#[derive(Clone)]
pub struct Egress {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    limits: Limits,
    metrics: Arc<Metrics>,
}

impl Egress {
    /// Creates a client. It opens no connection yet.
    ///
    /// # Errors
    /// An error if the crypto provider supports no TLS version. This happens only if the build is
    /// broken.
    pub fn new(limits: Limits, metrics: Arc<Metrics>) -> Result<Self, rustls::Error> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(limits.connect));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector);
        Ok(Self { client, limits, metrics })
    }

    /// Sends a POST request with a form (`application/x-www-form-urlencoded`). Its `Accept` header
    /// asks for JSON.
    pub async fn post_form(
        &self,
        to: &Endpoint,
        form: &[(&str, &str)],
    ) -> Result<Reply, EgressError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let json = HeaderValue::from_static("application/json");
        let headers = [(header::CONTENT_TYPE, form), (header::ACCEPT, json)];
        self.send(Method::POST, to, headers, Bytes::from(body)).await
    }

    /// Sends a GET request with one additional header. Its `Accept` header asks for plain text. The
    /// name of the additional header must be in lower case.
    pub async fn get(
        &self,
        to: &Endpoint,
        header: (&'static str, &'static str),
    ) -> Result<Reply, EgressError> {
        let text = HeaderValue::from_static("text/plain");
        let own = (HeaderName::from_static(header.0), HeaderValue::from_static(header.1));
        self.send(Method::GET, to, [own, (header::ACCEPT, text)], Bytes::new()).await
    }

    async fn send(
        &self,
        method: Method,
        to: &Endpoint,
        headers: [(HeaderName, HeaderValue); 2],
        body: Bytes,
    ) -> Result<Reply, EgressError> {
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = to.uri().clone();
        *request.method_mut() = method.clone();
        request.headers_mut().insert(header::USER_AGENT, AGENT);
        request.headers_mut().extend(headers);
        let started = Instant::now();
        let reply = tokio::time::timeout(self.limits.total, self.exchange(request)).await;
        let reply = reply.unwrap_or(Err(EgressError::Timeout));
        self.measure(&method, to, started.elapsed(), &reply);
        reply
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, EgressError> {
        let answer = self.client.request(request).await.map_err(|error| {
            let reason = reason(&error);
            if error.is_connect() {
                EgressError::Connect(reason)
            } else {
                EgressError::Broken(reason)
            }
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.limits.body_bytes_max).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                EgressError::TooLarge
            } else {
                EgressError::Broken(reason(&*error))
            }
        })?;
        let is_json = head
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        Ok(Reply { status: head.status.as_u16(), is_json, body: body.to_bytes() })
    }

    /// Records the metric `http.client.request.duration` of the OpenTelemetry semantic conventions.
    /// Its labels have few different values, so a service cannot create new time series: the
    /// operator configures the hosts, and a status that is not registered is left out.
    fn measure(
        &self,
        method: &Method,
        to: &Endpoint,
        took: Duration,
        reply: &Result<Reply, EgressError>,
    ) {
        let mut attributes = vec![
            KeyValue::new("http.request.method", method.to_string()),
            KeyValue::new("server.address", to.host().to_owned()),
            KeyValue::new("server.port", i64::from(to.port())),
        ];
        match reply {
            Ok(reply) => {
                let status = StatusCode::from_u16(reply.status).ok();
                if status.is_some_and(|status| status.canonical_reason().is_some()) {
                    let status = i64::from(reply.status);
                    attributes.push(KeyValue::new("http.response.status_code", status));
                }
            }
            Err(error) => attributes.push(KeyValue::new("error.type", error.name())),
        }
        self.metrics.client_request_duration.record(took.as_secs_f64(), &attributes);
        // The span contains no URL, because the URL can contain data of the request.
        let failed = !matches!(reply, Ok(reply) if reply.status < 400);
        trace::client(|| SpanAttributes {
            name: method.to_string().into(),
            took,
            attributes,
            failed,
        });
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The TLS settings of a client. The client trusts Mozilla's certificate authorities, which are
/// compiled in. It also trusts the certificate authorities of the machine, if there are any.
pub(super) fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let roots = Authorities::of_machine().and_mozilla();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The texts of an error and its causes. They can contain host names and facts about certificates
/// and sockets, but no part of a request.
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut words = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    words.join(": ").chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}
