//! The dispatcher, which handles every request of the public listener. It creates the id and the
//! span of the request, finds the route, checks the limits, reads the body, takes a permit,
//! authenticates the caller and runs the handler.
//!
//! It turns the [`Problem`] of a handler into a response and logs the problem once. It measures the
//! request and sets the headers that every response has. If a handler panics, the response is a
//! 500. If a handler does not end before its deadline, the response is a 503.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::body::Body;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Version};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::access::Access;
use super::answer::{self, Answer, TokenShown};
use super::body;
use super::cors;
use super::cross_site;
use super::cx::{Cx, Forwarded, Peer};
use super::fresh;
use super::head;
use super::mailbox_gate::{self, Passage};
use super::matching::{Entry, RouteMatch, Router};
use super::member::{self, Member};
use super::openapi;
use super::request::Request;
use super::router::{ANSWER_WITHIN, Handler, Route, RouteKind, RouteMethod};
use crate::actor::{FairPermit, FairPermits, PermitHolder, PermitRefusal};
use crate::admission::{Action, Decision};
use crate::app::App;
use crate::http::limit::{self, Holder};
use crate::problem::{Code, Problem, Unavailable};
use crate::session::Principal;
use crate::telemetry::labels::ShedReason;
use crate::token::Expiry;

/// The value of `Retry-After` if a request gets no permit. A permit becomes free as soon as another
/// request has its response.
const RETRY_AFTER_SHED_SECONDS: u32 = 1;

/// The service that handles the requests of the public listener.
#[derive(Debug)]
pub struct Dispatcher {
    app: Arc<App>,
    router: Router,
}

impl Dispatcher {
    pub fn new(app: Arc<App>) -> Self {
        let router = Router::new(app.config.passkey_domain().is_some());
        Self { app, router }
    }

    /// Responds to one request. This never fails, because every error becomes a response.
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
        self.warn_of_forwarded(&cx, forwarded);
        let found = self.router.find(&parts.method, parts.uri.path());
        let route = if let RouteMatch::Route(route, _) = &found { Some(route.path) } else { None };
        let token_shown = TokenShown::by(&parts.headers);
        let method = known_method(&parts.method);
        let is_http_1 = parts.version < Version::HTTP_2;
        let distrusted = is_http_1 && head::framing_is_in_doubt(&parts);
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
            answer::problem(&problem, &cx.trace_id, &self.app.config.public_url, token_shown)
        });
        answer::add_security_headers(answer.headers_mut(), cx.transport);
        answer::add_request_headers(answer.headers_mut(), &cx);
        cors::allow(answer.headers_mut(), origin.as_ref(), &config.cors_origins);
        // While the daemon drains, this header makes clients close their open connections before
        // the listener closes.
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
        found: RouteMatch,
    ) -> Result<Answer, Problem>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let app = &*self.app;
        self.spend(cx, &parts.method, &found)?;
        head::check(&parts)?;
        let (route, params) = match found {
            RouteMatch::Route(route, params) => (route, params),
            RouteMatch::Methods(allowed) if parts.method == Method::OPTIONS => {
                return Ok(cors::preflight(&allowed));
            }
            RouteMatch::Methods(allowed) => {
                let problem = Problem::from(Code::MethodNotAllowed);
                let mut answer =
                    answer::problem(&problem, &cx.trace_id, &app.config.public_url, TokenShown::No);
                if let Ok(allowed) = HeaderValue::from_str(&allowed) {
                    answer.headers_mut().insert(header::ALLOW, allowed);
                }
                return Ok(answer);
            }
            RouteMatch::Nothing => return Err(Code::NotFound.into()),
        };
        self.refuse_in_clear(cx, &route)?;
        if let Some(answer) = head::guard(&route, &parts)? {
            return Ok(answer);
        }
        if let Some(answer) = cross_site::guard(&app.config, &route, &parts)? {
            return Ok(answer);
        }
        let body = self.body_of(cx, &route, &parts, body).await?;
        // The permit is taken after the body has arrived, so a client that does not send its body
        // holds no permit for requests in progress.
        let _permit = self.admit(cx, &route)?;
        cx.deadline = Instant::now() + route.answer_within();
        let mut request = Request {
            cx: cx.clone(),
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body,
            params,
        };
        let handled = self.handle(&route, &mut request);
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
                let (user_id, claims, pass) =
                    limit::account(&self.app, request, Expiry::Enforced).await?;
                let caller = self.app.check().caller_of(user_id, &claims).await?;
                // The permit is released before the handler runs, because some handlers wait for a
                // password hash or for a captcha. Password hashes and captchas have their own
                // queues.
                drop(pass);
                self.require_proof(route, &caller).await?;
                limit::admit_write(&self.app, request, (route, caller.standing.id)).await?;
                handle(&self.app, request, caller).await
            }
            Handler::Verified(handle) => {
                let (user_id, claims, _pass) =
                    limit::account(&self.app, request, Expiry::Enforced).await?;
                let caller = self.app.check().caller_of(user_id, &claims).await?;
                let caller = member::verified(caller)?;
                self.require_proof(route, &caller).await?;
                limit::admit_write(&self.app, request, (route, caller.standing.id)).await?;
                handle(&self.app, request, caller).await
            }
            Handler::Mailbox(handle) => match mailbox_gate::enter(&self.app, request)? {
                Passage::Open(mailbox) => handle(mailbox, request).await,
                Passage::Respond(answer) => Ok(answer),
            },
            Handler::Team(permission, handle) => {
                let member = Member::of(&self.app, request, permission).await?;
                self.require_proof(route, &member.caller).await?;
                let _pass =
                    limit::permit(&self.app, request, Holder::Team(member.team_id())).await?;
                limit::admit_write(&self.app, request, (route, member.actor.user_id)).await?;
                handle(&self.app, request, member).await
            }
        }
    }

    /// Refuses a caller who has no fresh proof, if the route needs one.
    async fn require_proof(&self, route: &Route, caller: &Principal) -> Result<(), Problem> {
        match route.proof {
            Some(proof) => fresh::require(&self.app, caller, proof).await,
            None => Ok(()),
        }
    }

    /// Counts the request against the client's overall limit. A preflight is not counted, because a
    /// browser sends it on its own, and the response needs only the route table. A request that a
    /// server sends for many clients is not counted either ([`RouteKind::Server`]).
    fn spend(&self, cx: &mut Cx, method: &Method, found: &RouteMatch) -> Result<(), Problem> {
        let is_free = match found {
            RouteMatch::Route(route, _) => route.kind == RouteKind::Server,
            RouteMatch::Methods(_) => *method == Method::OPTIONS,
            RouteMatch::Nothing => false,
        };
        if is_free {
            return Ok(());
        }
        match self.app.admission.limiter.check(Action::Anything, cx.client) {
            Decision::Limited { retry_after_s, headers } => {
                cx.rate = Some(headers);
                Err(limit::limited(retry_after_s))
            }
            Decision::Unlimited | Decision::Allowed(_) => Ok(()),
        }
    }

    /// If `public_url` is https, refuses an API request that reached the proxy over plain http. The
    /// response is not a redirect, because a redirect would hide that others on the network may
    /// have read the request (ASVS 4.1.2). Forward-auth is exempt, because the header
    /// `X-Forwarded-Proto` of its requests describes the client's request to another service.
    fn refuse_in_clear(&self, cx: &Cx, route: &Route) -> Result<(), Problem> {
        let is_ours = openapi::is_refused_in_clear(route.path) && route.method != RouteMethod::Any;
        if cx.clear_at_proxy && is_ours && self.app.config.public_url.starts_with("https://") {
            return Err(Problem::new(Code::Forbidden).detail(
                "The request was sent over plain http. Use https. Others may have read the request on its way, so change the passwords and tokens that it contained.",
            ));
        }
        Ok(())
    }

    /// Reads the body if the handler needs one.
    async fn body_of<B>(
        &self,
        cx: &Cx,
        route: &Entry,
        parts: &Parts,
        body: B,
    ) -> Result<Bytes, Problem>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !route.takes_body || body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let _permit = self.enter(&self.app.gate.bodies, cx, ShedReason::Body)?;
        body::read(body, &parts.headers).await
    }

    /// Takes a permit for a request in progress. If there is none, refuses the request before any
    /// work is done.
    fn admit(&self, cx: &Cx, route: &Route) -> Result<FairPermit, Problem> {
        let gate = &self.app.gate;
        if route.kind == RouteKind::Refresh
            && let Ok(own) = gate.refreshes.take(holder(&gate.refreshes, cx))
        {
            return Ok(own);
        }
        self.enter(&gate.in_flight, cx, ShedReason::InFlight)
    }

    /// Takes a permit. If no permit is left, the metric gets the reason in `full`.
    fn enter(
        &self,
        permits: &Arc<FairPermits>,
        cx: &Cx,
        full: ShedReason,
    ) -> Result<FairPermit, Problem> {
        permits.take(holder(permits, cx)).map_err(|refused| {
            let reason = if refused == PermitRefusal::Full { full } else { ShedReason::Source };
            self.app.metrics.requests_shed.one(reason);
            Problem::new(Code::Overloaded).retry_after(RETRY_AFTER_SHED_SECONDS)
        })
    }

    /// Warns the operator, at most once a minute, that forwarded headers are not used, and says
    /// why.
    fn warn_of_forwarded(&self, cx: &Cx, forwarded: Forwarded) {
        let gate = &self.app.gate;
        let warning = match forwarded {
            Forwarded::Fine => return,
            Forwarded::Untrusted => &gate.untrusted_warning,
            Forwarded::Unreadable => &gate.unreadable_warning,
        };
        if !warning.is_due(self.app.clock.now()) {
            return;
        }
        if forwarded == Forwarded::Untrusted {
            tracing::warn!(
                "client.address" = %cx.client,
                "x-forwarded-for from a peer that is not in http.trusted_proxies is ignored. \
                 If the peer is your proxy, add it to http.trusted_proxies. Until then, all of its \
                 clients count as one IP address"
            );
        } else {
            tracing::warn!(
                "client.address" = %cx.client,
                "the header x-forwarded-for or forwarded of a trusted proxy cannot be read, so all \
                 clients of this proxy count as one IP address"
            );
        }
    }
}

/// The client that a permit is counted for. If a trusted proxy names no client, its request is
/// limited only by the total number of permits.
fn holder(permits: &FairPermits, cx: &Cx) -> PermitHolder {
    cx.holder().map_or(PermitHolder::NOBODY, |ip| permits.client(ip))
}

/// The method as an attribute of metrics. A known method is represented by its name. All other
/// methods share one value, as OpenTelemetry's conventions require.
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

/// Logs failures of the daemon and of its dependencies. Errors of clients are only in the access
/// log.
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
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
