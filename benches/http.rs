//! Benchmark: HTTP requests from the client to the stores and back. The daemon runs in this process
//! on the embedded stores. The requests use a loopback socket and kept-alive connections.
//!
//! It measures a login, the check of a userToken and a refresh. For comparison it also measures a
//! route that does almost no work on the same server, one argon2 hash, and one write to the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use latchkey::clock::Clock;
use latchkey::config::{self, Inputs, Machine};
use latchkey::daemon::Daemon;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::measure::{Effort, as_nanos, median, nanos};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";
const CALLERS: [usize; 2] = [1, 16];

/// The kinds of requests that are measured. Each client repeats one request.
#[derive(Clone, Copy)]
enum What {
    /// The request `GET /.well-known/jwks.json`. It needs only routing and a response.
    Trivial,
    /// The request `GET /api/me`. It needs the check of a userToken.
    Me,
    /// The request `GET /api/refresh` for the client's own session.
    Refresh,
    /// The request `POST /api/login`.
    Login,
}

const ALL: [(&str, What); 4] = [
    ("a trivial route: GET /.well-known/jwks.json", What::Trivial),
    ("check of a token: GET /api/me", What::Me),
    ("refresh: GET /api/refresh", What::Refresh),
    ("login: POST /api/login", What::Login),
];

/// The results of one round.
struct Round {
    p50: f64,
    p99: f64,
    a_second: f64,
}

pub fn run(effort: Effort) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(effort));
}

async fn measure(effort: Effort) {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = start(directory.path()).await;
    let client = Client::new(daemon.public_addr());
    let body = json!({ "email": EMAIL, "password": PASSWORD, "name": "Ada" });
    client.post("/api/register", body).await;
    println!("\n{:<46} {:>7} {:>11} {:>11} {:>10}", "http", "callers", "p50", "p99", "a second");
    for (name, what) in ALL {
        for callers in CALLERS {
            let people = people(&client, callers).await;
            let mut rounds = Vec::new();
            for _ in 0..effort.rounds.div_ceil(2) {
                rounds.push(round(what, &people, effort.round_of_requests()).await);
            }
            line(name, callers, &rounds);
        }
    }
    daemon.stop().await;
    limits(effort, directory.path());
}

/// Measures the lower bounds on this machine: the time of the hash that a login needs, and the time
/// of the write that a refresh waits for.
fn limits(effort: Effort, directory: &Path) {
    let mut hash = crate::password::bare_hash();
    let mut file = File::create(directory.join("write")).expect("a file");
    let mut write = || {
        file.rewind().expect("at the start");
        file.write_all(&[7; 4096]).expect("written");
        file.sync_data().expect("on the disk");
    };
    hash();
    write();
    for (name, call) in [
        ("limit of a login: one argon2 hash", &mut hash as &mut dyn FnMut()),
        ("limit of a refresh: 4 KiB and fdatasync", &mut write),
    ] {
        let rounds: Vec<Round> = (0..effort.rounds.div_ceil(2))
            .map(|_| {
                let started = Instant::now();
                let mut times = Vec::new();
                while started.elapsed() < effort.round {
                    let one = Instant::now();
                    call();
                    times.push(as_nanos(one.elapsed()));
                }
                figures(times, started.elapsed())
            })
            .collect();
        line(name, 1, &rounds);
    }
}

fn line(name: &str, callers: usize, rounds: &[Round]) {
    let of = |value: fn(&Round) -> f64| median(&mut rounds.iter().map(value).collect::<Vec<_>>());
    println!(
        "{name:<46} {callers:>7} {:>11} {:>11} {:>10.0}",
        nanos(of(|round| round.p50)),
        nanos(of(|round| round.p99)),
        of(|round| round.a_second)
    );
}

/// Runs all clients at the same time for the duration `length`. Each client sends its next request
/// after it has received the response.
async fn round(what: What, people: &[Arc<Person>], length: Duration) -> Round {
    let mut all = JoinSet::new();
    let started = Instant::now();
    for person in people {
        let person = Arc::clone(person);
        all.spawn(async move {
            let mut times = Vec::new();
            while started.elapsed() < length {
                let one = Instant::now();
                person.does(what).await;
                times.push(as_nanos(one.elapsed()));
            }
            times
        });
    }
    let times = all.join_all().await.concat();
    figures(times, started.elapsed())
}

fn figures(mut times: Vec<f64>, took: Duration) -> Round {
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or(f64::NAN);
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
    Round { p50: at(50), p99: at(99), a_second: f64::from(count) / took.as_secs_f64() }
}

/// A user who is logged in: the user's HTTP client and current userToken.
struct Person {
    client: Client,
    token: Mutex<String>,
}

async fn people(client: &Client, count: usize) -> Vec<Arc<Person>> {
    let mut people = Vec::new();
    for _ in 0..count {
        let token = Mutex::new(user_token(&client.log_in().await));
        people.push(Arc::new(Person { client: client.clone(), token }));
    }
    people
}

impl Person {
    async fn does(&self, what: What) {
        match what {
            What::Trivial => drop(self.client.get("/.well-known/jwks.json", None).await),
            What::Me => {
                let token = self.token.lock().await;
                self.client.get("/api/me", Some(&token)).await;
            }
            What::Refresh => {
                let mut token = self.token.lock().await;
                let answer = self.client.get("/api/refresh", Some(&token)).await;
                *token = user_token(&answer);
            }
            What::Login => drop(self.client.log_in().await),
        }
    }
}

fn user_token(answer: &Value) -> String {
    answer["userToken"].as_str().expect("tokens").to_owned()
}

#[derive(Clone)]
struct Client {
    address: SocketAddr,
    http: Hyper<HttpConnector, Full<Bytes>>,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { address, http: Hyper::builder(TokioExecutor::new()).build(connector) }
    }

    async fn log_in(&self) -> Value {
        self.post("/api/login", json!({ "email": EMAIL, "password": PASSWORD })).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
        self.send(request, Bytes::from(body.to_string())).await
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Value {
        let mut request = self.request(Method::GET, path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request, Bytes::new()).await
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    async fn send(&self, request: hyper::http::request::Builder, body: Bytes) -> Value {
        let request = request.body(Full::new(body)).expect("a request");
        let answer = self.http.request(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }
}

/// Starts a daemon with default settings and three exceptions: it uses free ports, its limits are
/// off, and its log contains only warnings and errors.
async fn start(directory: &Path) -> Daemon {
    let data_dir = directory.join("data").display().to_string();
    let environment: BTreeMap<String, String> = [
        ("LATCHKEY_HTTP__LISTEN", "127.0.0.1:0"),
        ("LATCHKEY_HTTP__DRAIN_DELAY", "0s"),
        ("LATCHKEY_ADMIN__LISTEN", "127.0.0.1:0"),
        ("LATCHKEY_DATA_DIR", data_dir.as_str()),
        ("LATCHKEY_RATE_LIMIT__ENABLED", "false"),
        ("LATCHKEY_LOG__FILTER", "warn"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let inputs = Inputs {
        files: Vec::new(),
        environment: &environment,
        flags: &[],
        machine: Machine { cores, log_on_terminal: false },
    };
    let config = config::load(&inputs).expect("settings that hold").config;
    latchkey::telemetry::start(&config, latchkey::daemon::CONNECT).expect("a log");
    Daemon::start(config, Clock::System).await.expect("a daemon")
}
