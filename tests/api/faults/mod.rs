//! Tests with servers that are down, slow or have lost data. In each case the daemon responds with
//! a 503 in time, and never with a 401. It works again within 10 s after the end of the fault.

pub mod cluster;
mod commits;
mod failover;
mod forgotten;
mod mail;
mod probes;
mod redis_refusals;
mod refused;
mod replicas;
mod second_factors;
mod stores;
mod vanished;

use std::time::{Duration, Instant};

use crate::app::TestApp;
use crate::client::{Answer, Person};
use crate::poll::eventually;
use crate::proxy::Proxy;

/// The time within which the daemon must work again after the end of a fault.
const HEALED: Duration = Duration::from_secs(10);
/// The time within which a response must arrive: 5 s, plus an allowance for a busy machine.
const ANSWERED: Duration = Duration::from_secs(6);

/// Starts a proxy in front of the server in this URL. Returns the proxy, and a URL that leads to
/// the server through the proxy.
async fn through(url: &str) -> (Proxy, String) {
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let proxy = Proxy::start(host.parse().expect("an address")).await;
    let at = if user.is_empty() { "" } else { "@" };
    let url = format!("{scheme}://{user}{at}{}/{path}", proxy.address());
    (proxy, url)
}

/// Waits for a response and checks that it arrives within [`ANSWERED`].
async fn timed(name: &'static str, asked: impl Future<Output = Answer>) -> (&'static str, Answer) {
    let began = Instant::now();
    let answer = asked.await;
    assert!(began.elapsed() < ANSWERED, "{name} took {:?}", began.elapsed());
    (name, answer)
}

/// Checks that the response is a 503 because of a dependency, and that `Retry-After` contains a
/// wait.
#[track_caller]
fn is_unavailable((name, answer): (&'static str, Answer)) {
    let wait = answer.header("retry-after").map(str::parse::<u32>);
    assert!(matches!(wait, Some(Ok(1..))), "{name}: {wait:?}, {}", answer.text());
    let code = answer.problem_code();
    assert_eq!((answer.status, code.as_str()), (503, "dependency-unavailable"), "{name}");
}

/// A user who has not yet confirmed the email address, and the token of the confirmation link.
struct Unverified {
    person: Person,
    token: String,
}

impl Unverified {
    async fn register(app: &TestApp) -> Self {
        let person = app.register("later@faults.example").await;
        let token = app.mail_to(&person.email).await.token().to_owned();
        Self { person, token }
    }

    /// Follows the confirmation link after a fault. The link is still valid after a 503. If the
    /// response to an earlier request was lost, the earlier request has perhaps confirmed the
    /// address. Then this request gets a 409.
    async fn follows_the_link(self, app: &TestApp) {
        let answer = app.anonymous().verify(&self.token).await;
        assert!(matches!(answer.status, 200 | 409), "{}", answer.text());
        let me = self.person.me().await.expect(200).json();
        assert_eq!((&me["emailVerified"], me["team"].is_object()), (&true.into(), true), "{me}");
        let teams = self.person.as_user().get("/api/teams").await.expect(200).json();
        assert_eq!(teams["items"].as_array().map(Vec::len), Some(1));
    }
}

/// Sends all requests that must be refused during a fault of a store, at the same time.
async fn all_refuse(app: &TestApp, person: &Person, unverified: &Unverified) {
    let nobody = app.anonymous();
    let user = person.as_user();
    let asked = tokio::join!(
        timed("login", nobody.login(&person.email, &person.password)),
        timed("login of nobody", nobody.login("nobody@faults.example", "some password")),
        timed("refresh", user.get("/api/refresh")),
        timed("me", user.get("/api/me")),
        timed("sessions", user.get("/api/sessions")),
        timed("register", nobody.register("new@faults.example", "nine lives of a cat", "A")),
        timed("verify", nobody.verify(&unverified.token)),
    );
    let (login, unknown, refresh, me, sessions, register, verify) = asked;
    for refused in [login, unknown, refresh, me, sessions, register, verify] {
        is_unavailable(refused);
    }
}

/// Waits until all these requests succeed again, without a restart of the daemon.
async fn heals(app: &TestApp, person: &mut Person) {
    eventually("health", HEALED, async || (person.me().await.status == 200).then_some(())).await;
    eventually("health of refreshes", HEALED, async || {
        let answer = person.as_user().get("/api/refresh").await;
        assert_ne!(answer.status, 401, "{}", answer.text());
        (answer.status == 200).then_some(())
    })
    .await;
    eventually("health of log-ins", HEALED, async || {
        let answer = app.anonymous().login(&person.email, &person.password).await;
        assert_ne!(answer.status, 401, "{}", answer.text());
        (answer.status == 200).then_some(())
    })
    .await;
    eventually("readiness", HEALED, async || {
        let ready = app.admin().get("/readyz").await.json();
        (ready["status"] == "ok").then_some(())
    })
    .await;
}

/// The time within which `/readyz` must report that a store accepts no writes, with the reason.
const FOUND: Duration = Duration::from_secs(15);

/// Waits until `/readyz` reports `degraded` with this reason.
async fn becomes_degraded(app: &TestApp, dependency: &str, reason: &str) {
    eventually(&format!("{dependency}: {reason}"), FOUND, async || {
        let ready = app.admin().get("/readyz").await.expect(200).json();
        (ready["reasons"][dependency] == reason).then(|| {
            assert_eq!(ready["status"], "degraded");
            assert_eq!(ready["dependencies"][dependency], "down");
        })
    })
    .await;
}

/// Waits until `/readyz` reports that everything works.
async fn becomes_ready(app: &TestApp) {
    eventually("readiness", HEALED, async || {
        let ready = app.admin().get("/readyz").await.json();
        (ready["status"] == "ok").then(|| assert_eq!(ready.get("reasons"), None, "{ready}"))
    })
    .await;
}

/// Checks that the daemon is degraded and still ready. If it were not ready, the load balancer
/// would take all replicas out of service at the same time.
async fn is_degraded(app: &TestApp, dependency: &str) {
    let ready = app.admin().get("/readyz").await.expect(200).json();
    assert_eq!(ready["status"], "degraded");
    assert_eq!(ready["dependencies"][dependency], "down");
    app.admin().get("/livez").await.expect(200);
}
