//! The JOSE suite. It sends every known kind of forged token to every route that accepts a token.
//! All refusals must be equal.
//!
//! `forge` creates tokens. `headers`, `shapes`, `claims` and `keys` are tables of forged tokens.
//! This module sends the tokens to the routes. It reads the routes from the route table. So the
//! suite includes a new route automatically.

mod claims;
mod forge;
mod forward;
mod headers;
mod keys;
mod shapes;
mod vault;

use hyper::Method;
use latchkey::http::router::{Handler, ROUTES, Route, RouteMethod};

use crate::app::{TestApp, both};
use crate::ask::alike;
use crate::client::{Answer, Client};

pub use forge::Cause;

/// The minimum number of cases in each table, so that a table cannot lose cases unnoticed.
const HEADER_CAUSES: usize = 230;
const SHAPE_CAUSES: usize = 65;
const CLAIM_CAUSES: usize = 150;
const KEY_CAUSES: usize = 20;

/// A route that accepts a userToken.
struct Guarded {
    method: Method,
    path: String,
    /// Says whether the session decides about a token outside of its lifetime.
    ignores_times: bool,
}

impl Guarded {
    fn of(route: &Route) -> Option<Self> {
        let ignores_times = matches!(route.path, "/api/refresh" | "/api/logout");
        if !ignores_times && matches!(route.handler, Handler::Open(_) | Handler::Mailbox(_)) {
            return None;
        }
        let method = match route.method {
            RouteMethod::Get => Method::GET,
            RouteMethod::Post => Method::POST,
            RouteMethod::Patch => Method::PATCH,
            RouteMethod::Delete => Method::DELETE,
            RouteMethod::Any => Method::PUT,
        };
        // The value of a parameter does not matter, because latchkey verifies the caller before it
        // reads the parameters.
        let path = route.path.replace(['{', '}'], "");
        Some(Self { method, path, ignores_times })
    }

    fn all() -> Vec<Self> {
        let guarded: Vec<Self> = ROUTES.iter().filter_map(Self::of).collect();
        assert!(guarded.len() >= 25, "the route table lost its guarded routes: {}", guarded.len());
        guarded
    }

    async fn ask(&self, client: &Client, authorization: &str) -> Answer {
        let client = client.header("authorization", authorization);
        client.bare(self.method.clone(), &self.path).await
    }
}

/// Says whether latchkey treats this header as a token. If the header has another scheme or none,
/// the response mentions no token (RFC 6750 §3.1).
fn is_shown(authorization: &str) -> bool {
    let head = authorization.trim_end().as_bytes().get(..7);
    head.is_some_and(|head| head.eq_ignore_ascii_case(b"bearer "))
}

/// Sends every forged token to every route. All refusals must have the same bytes, except for the
/// challenge, which has an `error` only if the client sent a token.
async fn all_refused(app: &TestApp, causes: &[Cause], at_least: usize) {
    assert!(causes.len() >= at_least, "only {} causes of {at_least}", causes.len());
    let client = app.anonymous();
    let mut asked = 0;
    for route in Guarded::all() {
        let reference = alike(&route.ask(&client, "Bearer nothing").await);
        assert_eq!(reference.0, 401, "{} {}", route.method, route.path);
        assert!(reference.2.contains("\"invalid-token\""), "{}", reference.2);
        let bare = alike(&route.ask(&client, "Nothing").await);
        assert_eq!((bare.0, &bare.2), (reference.0, &reference.2));
        for cause in causes.iter().filter(|cause| !(cause.untimely && route.ignores_times)) {
            let answer = route.ask(&client, &cause.authorization).await;
            let told = alike(&answer);
            let wanted = if is_shown(&cause.authorization) { &reference } else { &bare };
            assert_eq!(&told, wanted, "{} {}: {}", route.method, route.path, cause.name);
            asked += 1;
        }
    }
    println!("{} causes over every guarded route: {asked} refusals, all alike", causes.len());
}

/// Sends every forged token to one path that accepts the other kind of token. All refusals must be
/// equal.
async fn all_refused_at(app: &TestApp, path: &str, causes: &[Cause], at_least: usize) {
    assert!(causes.len() >= at_least, "only {} causes of {at_least}", causes.len());
    let ask = async |authorization: &str| {
        alike(&app.anonymous().header("authorization", authorization).get(path).await)
    };
    let reference = ask("Bearer nothing").await;
    assert_eq!(reference.0, 401, "{path}");
    let bare = ask("Nothing").await;
    assert_eq!((bare.0, &bare.2), (reference.0, &reference.2));
    for cause in causes {
        let wanted = if is_shown(&cause.authorization) { &reference } else { &bare };
        assert_eq!(&ask(&cause.authorization).await, wanted, "{path}: {}", cause.name);
    }
    println!("{} causes at {path}, all refused alike", causes.len());
}

both!(headers_of_every_kind_are_refused_alike, async |app| {
    let person = app.verified("ada@jose.example").await;
    let causes = headers::causes(app, &person.user_token, &person.vault_token).await;
    all_refused(app, &causes, HEADER_CAUSES).await;
    person.me().await.expect(200);
});

both!(shapes_of_every_kind_are_refused_alike, async |app| {
    let person = app.verified("ada@jose.example").await;
    let causes = shapes::causes(app, &person.user_token, &person.vault_token);
    all_refused(app, &causes, SHAPE_CAUSES).await;
    person.me().await.expect(200);
});

both!(claims_that_we_would_never_sign_are_refused_alike, async |app| {
    let person = app.verified("ada@jose.example").await;
    let causes = claims::causes(app, &person.user_token);
    all_refused(app, &causes, CLAIM_CAUSES).await;
    person.me().await.expect(200);
});

both!(tokens_of_other_keys_sessions_and_kinds_are_refused_alike, async |app| {
    let mut person = app.verified("ada@jose.example").await;
    let causes = Box::pin(keys::causes(app, &mut person)).await;
    all_refused(app, &causes, KEY_CAUSES).await;
    person.me().await.expect(200);
});

both!(a_good_token_opens_every_guarded_route, async |app| {
    let person = app.verified("ada@jose.example").await;
    for route in Guarded::all() {
        // Some of the routes end sessions, so the test opens a new session for each route.
        let device = person.another_device().await;
        let answer = route.ask(&app.anonymous(), &format!("Bearer {}", device.user_token)).await;
        assert_ne!(answer.status, 401, "{} {}: {}", route.method, route.path, answer.text());
        assert!(answer.status < 500, "{} {}: {}", route.method, route.path, answer.text());
    }
});

both!(an_authorization_beyond_8_kib_is_too_large_on_every_route, async |app| {
    let person = app.verified("ada@jose.example").await;
    let (client, longest) = (app.anonymous(), 8 * 1024);
    for route in Guarded::all() {
        let fits = format!("Bearer {}", "a".repeat(longest - "Bearer ".len()));
        route.ask(&client, &fits).await.expect_problem(401, "invalid-token");
        for more in [1, 2000] {
            let authorization = format!("{fits}{}", "a".repeat(more));
            let answer = route.ask(&client, &authorization).await;
            answer.expect_problem(431, "headers-too-large");
        }
    }
    person.me().await.expect(200);
});
