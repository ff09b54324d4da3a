//! Benchmark: measures whether the response time reveals which email addresses have an account.
//!
//! It sends requests to a complete daemon whose limits are on. The requests contain email addresses
//! of accounts in each state and email addresses without an account, in random order. The benchmark
//! runs on the embedded stores. If `LATCHKEY_TEST_POSTGRES_URL` and `LATCHKEY_TEST_REDIS_URL` are
//! both set, it also runs on PostgreSQL and Redis. Each run is done twice: once with the password
//! hash of production, and once with a very cheap password hash, so that the time of the hash
//! cannot hide a difference.
//!
//! The column `AUC` is the result of the Mann-Whitney U test. It is the probability that a response
//! for an address of the given state took longer than a response for an unknown address. 0.5 means
//! that the times reveal nothing. The column `p` is the probability that an AUC this far from 0.5
//! or further occurs by chance, although the times reveal nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use latchkey::account::{AccountOwner, Added, NewFactor, Verified};
use latchkey::app::App;
use latchkey::audit::RequestOrigin;
use latchkey::clock::Clock;
use latchkey::config::{self, Inputs, Machine};
use latchkey::daemon::Daemon;
use latchkey::database::tenant_scope::{self, TenantScope};
use latchkey::factor::{Factor, FactorKind};
use latchkey::secret::{random_bytes, sha256, uuid_v7};
use latchkey::session::AccountStatus;
use latchkey::store::{OneTimeToken, TokenKind};
use latchkey_entity::user;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde_json::{Value, json};

use crate::measure::{Effort, as_nanos, median, nanos};

/// The maximum time for the preparation of one account.
const WITHIN: Duration = Duration::from_secs(20);
const PASSWORD: &str = "correct horse battery";

/// The kinds of requests that are measured.
#[derive(Clone, Copy)]
enum What {
    /// The request `POST /api/login` with a wrong password.
    Login,
    /// The request `POST /api/login` while the login back-off refuses it.
    Refused,
    /// The request `POST /api/reset-password` with the token of an invalid link. For an account,
    /// the link was valid once and is now invalid. For an unknown address, the link never existed.
    Reset,
    /// The request `POST /api/forgot-password`.
    Forgot,
}

impl What {
    const ALL: [Self; 4] = [Self::Login, Self::Refused, Self::Reset, Self::Forgot];

    const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refused => "login, refused",
            Self::Reset => "reset",
            Self::Forgot => "forgot",
        }
    }
}

/// The state of the account that an email address belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Verified,
    /// The address is verified, and the account has a second factor.
    TwoFactors,
    Unverified,
    Disabled,
    Unknown,
}

impl State {
    const ALL: [Self; 5] =
        [Self::Verified, Self::TwoFactors, Self::Unverified, Self::Disabled, Self::Unknown];

    const fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::TwoFactors => "two factors",
            Self::Unverified => "unverified",
            Self::Disabled => "disabled",
            Self::Unknown => "unknown",
        }
    }
}

pub fn run(effort: Effort) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(effort));
}

async fn measure(effort: Effort) {
    println!(
        "\n{:<52} {:>6} {:>11} {:>11} {:>11} {:>7} {:>6}",
        "enumeration", "pairs", "known", "unknown", "difference", "AUC", "p"
    );
    let servers = ["LATCHKEY_TEST_POSTGRES_URL", "LATCHKEY_TEST_REDIS_URL"].map(variable);
    let mut stores = vec![("embedded", Vec::new())];
    if let [Some(postgres), Some(redis)] = servers {
        let settings = [
            ("database.url", postgres),
            ("database.auto_migrate", "true".into()),
            ("redis.url", redis),
            ("secrets.master_key", STANDARD.encode([7; 32])),
        ];
        stores.push(("servers", settings.into()));
    }
    for (name, settings) in stores {
        for (cost, memory_kib) in [("argon2id 19 MiB", "19456"), ("argon2id 64 KiB", "64")] {
            let directory = tempfile::tempdir().expect("a directory");
            let daemon = start(directory.path(), &settings, memory_kib).await;
            let bench = Bench::new(&daemon, effort).await;
            for what in What::ALL {
                bench.compare(what, &format!("{name}, {cost}"), effort).await;
            }
            daemon.stop().await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests' servers are named in the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct Bench {
    address: SocketAddr,
    http: Hyper<HttpConnector, Full<Bytes>>,
    run: String,
    /// The number of email addresses for each state.
    addresses: usize,
}

impl Bench {
    async fn new(daemon: &Daemon, effort: Effort) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = Hyper::builder(TokioExecutor::new()).build(connector);
        let run = u64::from_be_bytes(random_bytes()).to_string();
        let addresses = effort.rounds * 4;
        let bench = Self { address: daemon.public_addr(), http, run, addresses };
        for state in State::ALL.into_iter().filter(|state| *state != State::Unknown) {
            for at in 0..addresses {
                bench.make(daemon.app(), state, at).await;
            }
        }
        bench
    }

    /// Creates an account in the given state, and an invalid link for the account.
    async fn make(&self, app: &App, state: State, at: usize) {
        let email = self.email(state, at);
        let body = json!({ "email": email, "password": PASSWORD, "name": "Ada" });
        let source = at * State::ALL.len() + state as usize;
        assert_eq!(self.post("/api/register", source, &body).await, 200, "registered");
        let person = AccountStatus::by_email(&app.db, &email).await.expect("a database");
        let user_id = person.expect("a person").id;
        if state != State::Unverified {
            let (within, origin) = (tokio::time::Instant::now() + WITHIN, RequestOrigin::default());
            let verified = app.accounts.verify((within, origin), user_id).await;
            assert_eq!(verified.expect("a database"), Verified::Now);
        }
        if state == State::TwoFactors {
            add_factor(app, user_id).await;
        }
        if state == State::Disabled {
            let tx =
                tenant_scope::begin(&app.db, TenantScope::Operator).await.expect("a transaction");
            user::Entity::update_many()
                .col_expr(user::Column::Status, Expr::value("disabled"))
                .filter(user::Column::Id.eq(user_id))
                .exec(&tx)
                .await
                .expect("disabled");
            tx.commit().await.expect("committed");
        }
        let now = app.clock.now();
        let void = OneTimeToken {
            kind: TokenKind::Recover,
            user_id,
            row_id: uuid_v7(now),
            digest: sha256(self.link(state, at).as_bytes()),
            // This is not the version of the account's current password, so the link is invalid.
            stamp: 1,
            subject: None,
            expires_at: now + 3_600_000,
        };
        app.store.put_token(&void, now).await.expect("a store");
    }

    /// Returns the email address number `at` of a state. The addresses of all states have the same
    /// length, so that their length cannot change the times.
    fn email(&self, state: State, at: usize) -> String {
        format!("{}{at:03}@{}.example.com", state as usize, self.run)
    }

    fn link(&self, state: State, at: usize) -> String {
        sha256(self.email(state, at).as_bytes())
    }

    /// Measures all states in random order. If the machine becomes slower or faster during the run,
    /// this affects all states in the same way.
    async fn compare(&self, what: What, stores: &str, effort: Effort) {
        let turns = match what {
            What::Login | What::Reset => effort.rounds * 2,
            What::Refused => effort.rounds / 2,
            // An email address receives at most this many recovery mails in an hour.
            What::Forgot => 3,
        };
        let mut times = State::ALL.map(|_| Vec::new());
        for turn in 0..turns {
            for at in 0..self.addresses {
                let mut states = State::ALL.map(|state| (random_bytes::<8>(), state));
                states.sort_unstable_by_key(|(coin, _)| *coin);
                for (_, state) in states {
                    // Each request comes from a different IP address, so that only the limit that
                    // is tested can refuse it.
                    let source = ((what as usize * 100 + turn) * self.addresses + at)
                        * State::ALL.len()
                        + state as usize;
                    self.time(what, (state, at), 1_000 + source, &mut times[state as usize]).await;
                }
            }
        }
        let [known @ .., unknown] = &mut times;
        let unknown_median = median(unknown);
        for (state, times) in State::ALL.into_iter().zip(known) {
            let pairs = times.len().min(unknown.len());
            let (auc, p) = mann_whitney(times, unknown);
            let median = median(times);
            println!(
                "{:<52} {pairs:>6} {:>11} {:>11} {:>11} {auc:>7.3} {p:>6.3}",
                format!("{}, {}: {stores}", what.name(), state.name()),
                nanos(median),
                nanos(unknown_median),
                nanos((median - unknown_median).abs()),
            );
        }
    }

    async fn time(
        &self,
        what: What,
        (state, at): (State, usize),
        source: usize,
        times: &mut Vec<f64>,
    ) {
        let email = self.email(state, at);
        let wrong = json!({ "email": email, "password": "not the password" });
        let reset = json!({ "token": self.link(state, at), "newPassword": "a quite new password" });
        let (path, body, expected, before, counted) = match what {
            What::Login => ("/api/login", wrong, 401, 0, 1),
            What::Refused => ("/api/login", wrong, 429, 6, 3),
            What::Reset => ("/api/reset-password", reset, 400, 0, 1),
            What::Forgot => ("/api/forgot-password", json!({ "email": email }), 200, 0, 1),
        };
        for _ in 0..before {
            self.post(path, source, &body).await;
        }
        for _ in 0..counted {
            let started = Instant::now();
            let status = self.post(path, source, &body).await;
            // On a busy machine, the back-off is perhaps already over, or a store responds too
            // late. Then the response has another status, and its time is not counted.
            if status == expected {
                times.push(as_nanos(started.elapsed()));
            }
        }
    }

    async fn post(&self, path: &str, source: usize, body: &Value) -> u16 {
        let bytes = source.to_be_bytes();
        let request = Request::post(format!("http://{}{path}", self.address))
            .header(CONTENT_TYPE, "application/json")
            .header("x-forwarded-for", format!("10.{}.{}.{}", bytes[5], bytes[6], bytes[7]))
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request");
        let answer = self.http.request(request).await.expect("an answer");
        let status = answer.status().as_u16();
        answer.into_body().collect().await.expect("a body");
        status
    }
}

/// Gives an account a second factor. No request proves it, so its secret can be empty.
async fn add_factor(app: &App, user_id: uuid::Uuid) {
    let now = app.clock.now();
    let named = (FactorKind::Totp, "Phone".to_owned());
    let factor = Factor::new(uuid_v7(now), user_id, named, now);
    let digests = (0..10).map(|number| format!("{number}")).collect();
    let call = (tokio::time::Instant::now() + WITHIN, RequestOrigin::default());
    // The account is new, so no session of it has ended.
    let owner = AccountOwner { user_id, session_epoch: 0 };
    let added = app.accounts.add_factor(call, owner, NewFactor { factor, digests }).await;
    assert!(matches!(added, Ok(Added::Now { .. })), "{added:?}");
}

/// Returns the probability that a value of `left` is greater than a value of `right`. Two equal
/// values count as one half. It also returns the two-sided p of this probability, computed with the
/// normal approximation.
fn mann_whitney(left: &[f64], right: &[f64]) -> (f64, f64) {
    let mut wins = 0.0;
    for one in left {
        for other in right {
            wins += match one.total_cmp(other) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    let count = |values: &[f64]| f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
    let (m, n) = (count(left), count(right));
    let deviation = (m * n * (m + n + 1.0) / 12.0).sqrt();
    let z = (wins - m * n / 2.0).abs() / deviation;
    (wins / (m * n), tail(z))
}

/// Returns the probability that a normally distributed value is further from 0 than `z`, on either
/// side. The formula is Abramowitz and Stegun 7.1.26, with an error of at most 1.5e-7.
fn tail(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / 0.327_591_1_f64.mul_add(x, 1.0);
    let factors = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let sum = factors.iter().fold(0.0_f64, |sum, factor| sum.mul_add(t, *factor));
    sum * t * (-x * x).exp()
}

/// Starts a daemon whose limits are on. The daemon trusts the client IP address in
/// `X-Forwarded-For`.
async fn start(directory: &Path, settings: &[(&str, String)], memory_kib: &str) -> Daemon {
    let data_dir = directory.join("data").display().to_string();
    let mut environment: BTreeMap<String, String> = [
        ("LATCHKEY_HTTP__LISTEN", "127.0.0.1:0"),
        ("LATCHKEY_HTTP__DRAIN_DELAY", "0s"),
        ("LATCHKEY_HTTP__TRUSTED_PROXIES", "127.0.0.0/8"),
        ("LATCHKEY_ADMIN__LISTEN", "127.0.0.1:0"),
        ("LATCHKEY_DATA_DIR", data_dir.as_str()),
        ("LATCHKEY_PASSWORD__MEMORY_KIB", memory_kib),
        ("LATCHKEY_LOG__FILTER", "error"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (key, value) in settings {
        let name = format!("LATCHKEY_{}", key.replace('.', "__").to_uppercase());
        environment.insert(name, value.clone());
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let inputs = Inputs {
        files: Vec::new(),
        environment: &environment,
        flags: &[],
        machine: Machine { cores, log_on_terminal: false },
    };
    let config = config::load(&inputs).expect("settings that hold").config;
    Daemon::start(config, Clock::System).await.expect("a daemon")
}
