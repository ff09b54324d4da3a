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
use crate::telemetry::Metrics;
use crate::telemetry::trace::{self, SpanAttributes};

/// Idle connections to one host that are kept: as many as a pool has workers.
const IDLE_CONNECTIONS_MAX: usize = 8;
/// How long an idle connection is kept. This is shorter than the timeouts of vendors and load
/// balancers, so a request rarely uses a connection that is being closed. It also makes the client
/// resolve host names again.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// The greatest size of a response head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The greatest length of an error text from a library.
const REASON_CHARS_MAX: usize = 200;
/// The `User-Agent`, without a version. Services of breached passwords refuse requests without one.
const AGENT: HeaderValue = HeaderValue::from_static("latchkey");

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The time until the TCP connection is established.
    pub connect: Duration,
    /// The time from the DNS lookup to the last byte of the response.
    pub total: Duration,
    /// The greatest size of the response body.
    pub body_bytes_max: usize,
}

/// A response, with any status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status. Redirects are not followed.
    pub status: u16,
    /// Whether its `Content-Type` is JSON.
    pub is_json: bool,
    /// The body, at most [`Limits::body_bytes_max`].
    pub body: Bytes,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EgressError {
    /// The request took longer than [`Limits::total`].
    Timeout,
    /// There is no connection, or no TLS on it. The text is from the library.
    Connect(String),
    /// The connection broke, or the response is not HTTP. The text is from the library.
    Broken(String),
    /// The body is larger than [`Limits::body_bytes_max`].
    TooLarge,
}

impl EgressError {
    /// The `error.type` in metrics.
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

/// A client for the endpoints that the operator configures. Clones share its connections.
#[derive(Clone)]
pub struct Egress {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    limits: Limits,
    metrics: Arc<Metrics>,
}

impl Egress {
    /// A client without open connections.
    ///
    /// # Errors
    /// When the crypto provider offers no TLS version. Then the build is broken.
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

    /// Sends a POST request with a form (`application/x-www-form-urlencoded`) and accepts JSON.
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

    /// Sends a GET request with one additional header and accepts text. The name of the header is
    /// in lower case.
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

    /// Records `http.client.request.duration` of the OpenTelemetry semantic conventions. The
    /// operator configures the hosts. An unregistered status is left out, so that a response cannot
    /// create new time series.
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
        // The span has no URL, because the URL contains the data of the request.
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

/// A TLS client that trusts Mozilla's certificate authorities, which are compiled in, and those of
/// the machine, if it has any.
pub(super) fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let machine = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(machine.certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The texts of an error and its causes. They contain host names, certificates and sockets, never a
/// request.
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut words = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    words.join(": ").chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

/// The certificate authorities of the machine, each as DER. Those that cannot be read are left out.
/// The stores use them, because their clients make their own connections.
pub fn authorities() -> Vec<Vec<u8>> {
    let found = rustls_native_certs::load_native_certs().certs;
    found.into_iter().map(|certificate| certificate.to_vec()).collect()
}
