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
        let (cx, forwarded) = Cx::new(peer, &parts.headers, &config.trusted_proxies, ANSWER_WITHIN);
        self.warn_of_forwarded(&cx, forwarded);
        let mut request = Request::new(cx, parts);
        let found = self.router.find(&request.method, request.uri.path());
        let route = if let RouteMatch::Route(route, _) = &found { Some(route.path) } else { None };
        let method = known_method(&request.method);
        let cx = &request.cx;
        let span = tracing::info_span!(
            "request",
            request_id = cx.request_id,
            trace_id = cx.trace_id,
            span_id = cx.span_id,
            sampled = cx.sampled,
            "http.request.method" = method,
            "http.route" = route,
        );
        let access = Access::begin(&self.app, cx, (method, route, request.version), started, span);
        let running = self.run(&mut request, body, found).instrument(access.span.clone());
        let mut answer = running.await.unwrap_or_else(|problem| {
            access.span.in_scope(|| log(&problem));
            self.refusal(&request, &problem)
        });
        let headers = answer.headers_mut();
        answer::add_security_headers(headers, request.cx.transport);
        answer::add_request_headers(headers, &request.cx);
        cors::allow(headers, request.headers.get(header::ORIGIN), &config.cors_origins);
        // While the daemon drains, this header makes clients close their open connections before
        // the listener closes.
        if request.version < Version::HTTP_2
            && (head::framing_is_in_doubt(&request)
                || self.app.gate.draining.load(Ordering::SeqCst))
        {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        access.answered(answer.status());
        answer
    }

    /// Turns a problem into the response to a request.
    fn refusal(&self, request: &Request, problem: &Problem) -> Answer {
        let token_shown = TokenShown::by(&request.headers);
        answer::problem(problem, &request.cx.trace_id, &self.app.config.public_url, token_shown)
    }

    async fn run<B>(
        &self,
        request: &mut Request,
        body: B,
        found: RouteMatch,
    ) -> Result<Answer, Problem>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.spend(request, &found)?;
        head::check(request)?;
        let route = match found {
            RouteMatch::Route(route, params) => {
                request.params = params;
                route
            }
            RouteMatch::Methods(allowed) if request.method == Method::OPTIONS => {
                return Ok(cors::preflight(&allowed));
            }
            RouteMatch::Methods(allowed) => {
                let mut answer = self.refusal(request, &Code::MethodNotAllowed.into());
                if let Ok(allowed) = HeaderValue::from_str(&allowed) {
                    answer.headers_mut().insert(header::ALLOW, allowed);
                }
                return Ok(answer);
            }
            RouteMatch::Nothing => return Err(Code::NotFound.into()),
        };
        self.refuse_in_clear(&request.cx, &route)?;
        if let Some(answer) = head::guard(&route, request)? {
            return Ok(answer);
        }
        if let Some(answer) = cross_site::guard(&self.app.config, &route, request)? {
            return Ok(answer);
        }
        request.body = self.body_of(request, &route, body).await?;
        // The permit is taken after the body has arrived, so a client that does not send its body
        // holds no permit for requests in progress.
        let _permit = self.admit(&request.cx, &route)?;
        let deadline = Instant::now() + route.answer_within();
        request.cx.deadline = deadline;
        let handled = AssertUnwindSafe(self.handle(&route, request)).catch_unwind();
        match tokio::time::timeout_at(deadline, handled).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Problem::new(Code::InternalError).because(panic_text(&*panic))),
            Err(_) => Err(Unavailable::because("request", "the deadline passed").into()),
        }
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
    fn spend(&self, request: &mut Request, found: &RouteMatch) -> Result<(), Problem> {
        let is_free = match found {
            RouteMatch::Route(route, _) => route.kind == RouteKind::Server,
            RouteMatch::Methods(_) => request.method == Method::OPTIONS,
            RouteMatch::Nothing => false,
        };
        if is_free {
            return Ok(());
        }
        match self.app.admission.limiter.check(Action::Anything, request.client()) {
            Decision::Limited { retry_after_s, headers } => {
                request.cx.rate = Some(headers);
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
    async fn body_of<B>(&self, request: &Request, route: &Entry, body: B) -> Result<Bytes, Problem>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !route.takes_body || body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let _permit = self.enter(&self.app.gate.bodies, &request.cx, ShedReason::Body)?;
        body::read(body, &request.headers).await
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
