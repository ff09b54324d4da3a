//! A steady load from a fixed number of users. They keep their connections open, read, refresh and
//! log in.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Person};

/// The number of simultaneous users.
const PEOPLE: usize = 8;
/// The pause between two requests of one user. On a fast machine 8 users send 160 requests per
/// second.
const PAUSE: Duration = Duration::from_millis(50);
/// The number of requests of one user between two refreshes, and between two logins.
const REFRESH_EVERY: usize = 3;
const LOGIN_EVERY: usize = 50;
/// The maximum time to wait for a response.
const ANSWER: Duration = Duration::from_secs(20);

/// The results that users have seen.
#[derive(Debug, Default)]
pub struct Done {
    pub me: usize,
    pub refreshed: usize,
    pub logged_in: usize,
    /// One entry for each request that did not get the expected response.
    pub failures: Vec<String>,
}

/// A load that runs until [`Load::finish`] is called.
pub struct Load {
    people: JoinSet<Done>,
    stop: CancellationToken,
}

impl Load {
    /// Registers users with this client and starts sending their requests.
    pub async fn start(client: &Client) -> Self {
        let (mut people, stop) = (JoinSet::new(), CancellationToken::new());
        for number in 0..PEOPLE {
            let email = format!("person{number}@rollout.example");
            let person = Visitor::new(client.address(), Person::register(client, &email).await);
            people.spawn(person.stay(stop.clone()));
        }
        Self { people, stop }
    }

    /// Waits until the current request of each user has ended. Returns the sum of the users'
    /// results.
    pub async fn finish(mut self) -> Done {
        self.stop.cancel();
        let mut sum = Done::default();
        while let Some(one) = self.people.join_next().await {
            let one = one.expect("a visitor does not panic");
            sum.me += one.me;
            sum.refreshed += one.refreshed;
            sum.logged_in += one.logged_in;
            sum.failures.extend(one.failures);
        }
        sum
    }
}

/// One user with one open connection.
struct Visitor {
    person: Person,
    address: SocketAddr,
    token: String,
    http: HyperClient<HttpConnector, Full<Bytes>>,
    done: Done,
}

impl Visitor {
    fn new(address: SocketAddr, person: Person) -> Self {
        // If the client repeated requests by itself, the test would not notice lost requests.
        let http = HyperClient::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .pool_max_idle_per_host(1)
            .build_http();
        Self { address, token: person.user_token.clone(), person, http, done: Done::default() }
    }

    async fn stay(mut self, stop: CancellationToken) -> Done {
        let mut pause = interval(PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = 0;
        while !stop.is_cancelled() {
            pause.tick().await;
            turn += 1;
            let seen = if turn % LOGIN_EVERY == 0 {
                self.log_in().await
            } else if turn % REFRESH_EVERY == 0 {
                self.refresh().await
            } else {
                self.look().await
            };
            if let Err(failure) = seen {
                self.done.failures.push(failure);
                // After a lost refresh every later request of the user would fail, so one failure
                // is enough.
                break;
            }
        }
        self.done
    }

    async fn look(&mut self) -> Result<(), String> {
        let me = self.ask(Method::GET, "/api/me", None).await?;
        if me["email"] != self.person.email.as_str() {
            return Err(format!("/api/me of {} says {me}", self.person.email));
        }
        self.done.me += 1;
        Ok(())
    }

    async fn refresh(&mut self) -> Result<(), String> {
        let tokens = self.ask(Method::GET, "/api/refresh", None).await?;
        self.done.refreshed += 1;
        self.take(&tokens)
    }

    async fn log_in(&mut self) -> Result<(), String> {
        let body = json!({ "email": self.person.email, "password": self.person.password });
        let tokens = self.ask(Method::POST, "/api/login", Some(body)).await?;
        self.done.logged_in += 1;
        self.take(&tokens)
    }

    fn take(&mut self, tokens: &Value) -> Result<(), String> {
        let token = tokens["userToken"].as_str().ok_or(format!("no token in {tokens}"))?;
        token.clone_into(&mut self.token);
        Ok(())
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
        let uri = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(&method).uri(uri);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        } else {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).expect("a valid request");
        let asked = async {
            let answer = self.http.request(request).await.map_err(|error| format!("{error:?}"))?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
            let text = String::from_utf8_lossy(&body);
            if head.status != 200 {
                return Err(format!("{} {text}", head.status));
            }
            serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))
        };
        let answer = timeout(ANSWER, asked).await.unwrap_or(Err("no answer".to_owned()));
        answer.map_err(|what: String| format!("{method} {path}: {what}"))
    }
}
