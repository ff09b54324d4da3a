//! The one wrapper around every request: id, span, permit, route, body, caller, handler, and back.
//!
//! This is the only place that turns a [`Problem`] into an answer, logs it (once), measures, and sets the headers that
//! every answer has. A handler's panic ends here as a 500; a handler that runs past its deadline as a 503.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Version};
use opentelemetry::KeyValue;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::access::Access;
use super::answer::{self, Answer, TokenShown};
use super::cors;
use super::cx::{Cx, Forwarded, Peer};
use super::member::{self, Member};
use super::request::Request;
use super::router::{ANSWER_WITHIN, Found, Handler, Manner, Route, Router};
use super::steps::{self, Whom};
use crate::app::App;
use crate::limits::{Action, Decision};
use crate::problem::{Code, Problem, Unavailable};

/// A body has 16 KiB at most: the largest honest one is a password of 256 characters and a captcha's 4 KiB.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// A body has to be there within this time.
const BODY_WITHIN: Duration = Duration::from_secs(15);
/// Path and query together.
const URI_BYTES_MAX: usize = 4 * 1024;
/// One `Authorization` header.
const AUTHORIZATION_BYTES_MAX: usize = 8 * 1024;
/// Honest after a full gate: permits come back within the time of one answer.
const RETRY_AFTER_SHED_SECONDS: u32 = 1;
/// An untrusted `X-Forwarded-For` is told of once in this time.
const FORWARDED_WARNING_EVERY_MS: i64 = 60_000;

/// The service behind every connection.
#[derive(Debug)]
pub struct Dispatcher {
    app: Arc<App>,
    router: Router,
}

impl Dispatcher {
    /// A dispatcher of the whole route table.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, router: Router::new() }
    }

    /// Answers one request; never fails.
    pub async fn serve<B>(&self, peer: Peer, request: hyper::Request<B>) -> Answer
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let config = &self.app.config.http;
        let (mut cx, forwarded) =
            Cx::new(peer, &parts.headers, &config.trusted_proxies, ANSWER_WITHIN);
        if forwarded == Forwarded::Untrusted {
            self.warn_of_forwarded(&cx);
        }
        let found = self.router.find(&parts.method, parts.uri.path());
        let route = if let Found::Route(route, _) = &found { Some(route.path) } else { None };
        let token_shown = TokenShown::by(&parts.headers);
        let method = known_method(&parts.method);
        let is_http_1 = parts.version < Version::HTTP_2;
        let distrusted = is_http_1 && framing_is_in_doubt(&parts);
        let origin = parts.headers.get(header::ORIGIN).cloned();
        let span = tracing::info_span!(
            "request",
            request_id = cx.request_id,
            trace_id = cx.trace_id,
            span_id = cx.span_id,
            sampled = cx.sampled,
            "http.request.method" = method,
            "http.route" = route,
        );
        let access =
            Access::begin(&self.app, &cx, (method, route, parts.version), started, span.clone());
        let result = self.run(&mut cx, parts, body, found).instrument(span.clone()).await;
        let _entered = span.enter();
        let mut answer = result.unwrap_or_else(|problem| {
            log(&problem);
            answer::problem(&problem, &cx, &self.app.config.public_url, token_shown)
        });
        answer::harden(answer.headers_mut(), cx.transport);
        answer::tell(answer.headers_mut(), &cx);
        cors::allow(answer.headers_mut(), origin.as_ref(), &config.cors_origins);
        // While the daemon drains, whoever keeps connections open moves them to another one before the listener closes.
        if distrusted || (is_http_1 && self.app.gate.draining.load(Ordering::SeqCst)) {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        access.answered(answer.status());
        answer
    }

    async fn run<B>(
        &self,
        cx: &mut Cx,
        parts: Parts,
        body: B,
        found: Found,
    ) -> Result<Answer, Problem>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let app = &*self.app;
        check_head(&parts)?;
        let (route, params) = match found {
            Found::Route(route, params) => (route, params),
            Found::Methods(allowed) if parts.method == Method::OPTIONS => {
                return Ok(cors::preflight(&allowed));
            }
            Found::Methods(allowed) => {
                let problem = Problem::from(Code::MethodNotAllowed);
                let mut answer =
                    answer::problem(&problem, cx, &app.config.public_url, TokenShown::No);
                if let Ok(allowed) = HeaderValue::from_str(&allowed) {
                    answer.headers_mut().insert(header::ALLOW, allowed);
                }
                return Ok(answer);
            }
            Found::Nothing => return Err(Code::NotFound.into()),
        };
        let _permit = self.admit(route)?;
        if route.manner != Manner::Server
            && let Decision::Limited { retry_after_s, headers } =
                app.limiter.check(Action::Anything, cx.client)
        {
            cx.rate = Some(headers);
            return Err(limited(retry_after_s));
        }
        if let Some(answer) = guard(route, &parts)? {
            return Ok(answer);
        }
        let body = read(body, &parts.headers).await?;
        cx.deadline = Instant::now() + route.answer_within();
        let mut request = Request {
            cx: cx.clone(),
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body,
            params,
        };
        let handled = self.handle(route, &mut request);
        let outcome =
            tokio::time::timeout_at(cx.deadline, AssertUnwindSafe(handled).catch_unwind());
        let result = match outcome.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Problem::new(Code::InternalError).because(panic_text(&*panic))),
            Err(_) => Err(Unavailable::because("request", "the deadline passed").into()),
        };
        cx.rate = request.cx.rate.take();
        result
    }

    async fn handle(&self, route: &Route, request: &mut Request) -> Result<Answer, Problem> {
        match route.handler {
            Handler::Open(handle) => handle(&self.app, request).await,
            Handler::User(handle) => {
                let (user_id, claims, pass) = steps::account(&self.app, request).await?;
                let caller = self.app.check().caller_of(user_id, &claims).await?;
                // What follows may wait for a hash or for a captcha, whose pools have queues of their own.
                drop(pass);
                handle(&self.app, request, caller).await
            }
            Handler::Verified(handle) => {
                let (user_id, claims, _pass) = steps::account(&self.app, request).await?;
                let caller = self.app.check().caller_of(user_id, &claims).await?;
                handle(&self.app, request, member::verified(caller)?).await
            }
            Handler::Team(permission, handle) => {
                let member = Member::of(&self.app, request, permission).await?;
                let _pass = steps::turn(&self.app, request, Whom::Team(member.team_id())).await?;
                handle(&self.app, request, member).await
            }
        }
    }

    /// A permit for one request, or a refusal before any work.
    fn admit(&self, route: &Route) -> Result<OwnedSemaphorePermit, Problem> {
        let gate = &self.app.gate;
        let own =
            (route.manner == Manner::Refresh).then(|| gate.refreshes.clone().try_acquire_owned());
        let permit = match own {
            Some(Ok(permit)) => Ok(permit),
            _ => gate.in_flight.clone().try_acquire_owned(),
        };
        permit.map_err(|_: TryAcquireError| {
            self.app.metrics.requests_shed.add(1, &[KeyValue::new("reason", "in_flight")]);
            Problem::new(Code::Overloaded).retry_after(RETRY_AFTER_SHED_SECONDS)
        })
    }

    fn warn_of_forwarded(&self, cx: &Cx) {
        let now = self.app.clock.now();
        let last = &self.app.gate.forwarded_warned_at;
        let before = last.load(Ordering::Relaxed);
        let due = now.saturating_sub(before) >= FORWARDED_WARNING_EVERY_MS;
        if due && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(
                "client.address" = %cx.client,
                "x-forwarded-for from a peer that is not in http.trusted_proxies is ignored: \
                 behind a proxy every client counts as one address until it is listed"
            );
        }
    }
}

/// The answer to a request that is over a limit.
pub fn limited(retry_after_s: u64) -> Problem {
    Problem::new(Code::RateLimited).retry_after(u32::try_from(retry_after_s).unwrap_or(u32::MAX))
}

/// What can be told from the head alone.
fn check_head(parts: &Parts) -> Result<(), Problem> {
    let uri = parts.uri.path_and_query().map_or(0, |part| part.as_str().len());
    if uri > URI_BYTES_MAX {
        return Err(Code::UriTooLong.into());
    }
    let mut authorizations = parts.headers.get_all(header::AUTHORIZATION).iter();
    if authorizations.next().is_some_and(|value| value.len() > AUTHORIZATION_BYTES_MAX) {
        return Err(Code::HeadersTooLarge.into());
    }
    if authorizations.next().is_some() {
        return Err(
            Problem::new(Code::MalformedRequest).detail("There are two `Authorization` headers.")
        );
    }
    if host_is_in_doubt(parts) {
        return Err(
            Problem::new(Code::MalformedRequest).detail("There has to be one `Host` header.")
        );
    }
    Ok(())
}

/// HTTP/1.1 asks for one `Host`, and none of 1.x has two (RFC 9112 §3.2): proxies that choose differently would see two
/// requests in one.
fn host_is_in_doubt(parts: &Parts) -> bool {
    match (parts.version, parts.headers.get_all(header::HOST).iter().count()) {
        (Version::HTTP_11, hosts) => hosts != 1,
        (_, hosts) => hosts > 1,
    }
}

/// Requests after which the connection is not trusted to be framed as we read it (RFC 9112 §6.1, security §3).
fn framing_is_in_doubt(parts: &Parts) -> bool {
    let headers = &parts.headers;
    let both = headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH);
    let twice = headers.get_all(header::AUTHORIZATION).iter().count() > 1;
    both || twice || host_is_in_doubt(parts)
}

/// The rules of the GETs that change state (security §1.1).
fn guard(route: &Route, parts: &Parts) -> Result<Option<Answer>, Problem> {
    if !matches!(route.manner, Manner::ChangesState | Manner::MailedLink | Manner::Refresh) {
        return Ok(None);
    }
    let says = |name: &'static str, word: &str| {
        let values = parts.headers.get_all(HeaderName::from_static(name));
        values.iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split([',', ';']).any(|token| token.trim().eq_ignore_ascii_case(word))
        })
    };
    let prefetch =
        says("sec-purpose", "prefetch") || says("purpose", "prefetch") || says("x-moz", "prefetch");
    if prefetch {
        return Err(Problem::new(Code::Forbidden)
            .detail("A prefetch of a link that changes something is refused."));
    }
    if route.manner == Manner::MailedLink && says("sec-fetch-mode", "navigate") {
        let token = parts.uri.path().rsplit('/').next().unwrap_or_default();
        return Ok(Some(answer::see_other(&format!("/verify-email?token={token}"))));
    }
    Ok(None)
}

/// Reads the whole body, within its limits.
async fn read<B>(body: B, headers: &HeaderMap) -> Result<Bytes, Problem>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if told.and_then(|told| told.parse::<usize>().ok()).is_some_and(|told| told > BODY_BYTES_MAX) {
        return Err(Code::BodyTooLarge.into());
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let body = std::pin::pin!(Limited::new(body, BODY_BYTES_MAX));
    match tokio::time::timeout(BODY_WITHIN, body.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Code::BodyTooLarge.into()),
        Ok(Err(error)) => Err(Problem::new(Code::MalformedRequest).because(error)),
        Err(_) => Err(Code::RequestTimeout.into()),
    }
}

/// A method as a metric's attribute: the known ones, and one word for all others (OpenTelemetry's conventions).
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

/// Logs what is our fault or our dependency's; what clients do wrong is in the access line.
pub fn log(problem: &Problem) {
    let reason = problem.source.as_ref().map(ToString::to_string).unwrap_or_default();
    match problem.code {
        Code::InternalError => tracing::error!(reason, "a handler panicked"),
        Code::DependencyUnavailable | Code::Overloaded => {
            tracing::warn!(reason, code = problem.code.name(), "request refused");
        }
        _ => {}
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
