//! The accounts that send the requests: imported with one shared hash of the default parameters,
//! then logged in once.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::Result;
use crate::client::{self, Client, Protocol, Response};
use crate::compute;
use crate::daemon::Daemon;

pub const PASSWORD: &str = "correct horse battery staple";
const DEVICE: HeaderName = HeaderName::from_static("x-latchkey-device");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The number of addresses of clients. An address may send 300 requests a minute, so this number
/// allows 655 000 requests a second.
const ADDRESSES: u32 = 131_072;

/// The number of logins at the same time while the accounts are prepared.
const PREPARING: usize = 4;

/// How often a request of the preparation is sent.
const ATTEMPTS: usize = 5;

/// The tokens of a session.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The value of `Authorization` with the userToken.
    pub user: HeaderValue,
    /// The value of `Authorization` with the vaultToken.
    pub vault: HeaderValue,
}

#[derive(Debug)]
pub struct Account {
    pub email: String,
    /// The id of the account's team.
    pub team: String,
    /// The device token of the first login.
    pub device: HeaderValue,
    tokens: Mutex<Tokens>,
}

impl Account {
    pub fn tokens(&self) -> Tokens {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_tokens(&self, tokens: Tokens) {
        *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) = tokens;
    }
}

/// All that the requests of a run need.
pub struct World {
    pub accounts: Vec<Account>,
    seed: u64,
    next_address: AtomicU32,
    registered: AtomicU32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenBody<'a> {
    user_token: &'a str,
    vault_token: &'a str,
}

#[derive(Deserialize)]
struct Me {
    team: Team,
}

#[derive(Deserialize)]
struct Team {
    id: String,
}

/// Reads the tokens in a response.
pub fn tokens_of(response: &Response) -> Result<Tokens> {
    let body: TokenBody<'_> = serde_json::from_slice(&response.body)
        .map_err(|error| format!("a response {} without tokens: {error}", response.status))?;
    let bearer = |token: &str| HeaderValue::from_str(&format!("Bearer {token}"));
    Ok(Tokens { user: bearer(body.user_token)?, vault: bearer(body.vault_token)? })
}

impl World {
    /// Imports `count` accounts and logs each of them in.
    pub async fn prepare(
        daemon: &Daemon,
        directory: &Path,
        count: usize,
        seed: u64,
    ) -> Result<Arc<Self>> {
        let hash = compute::stored_hash(PASSWORD)?;
        let mut lines = String::new();
        let emails: Vec<String> = (0..count).map(|it| format!("user-{it}@example.com")).collect();
        for email in &emails {
            writeln!(
                lines,
                r#"{{"email":"{email}","name":"Ada","passwordHash":"{hash}","emailVerified":true}}"#
            )?;
        }
        let file = directory.join("accounts.jsonl");
        std::fs::write(&file, lines)?;
        daemon.import(&file)?;
        let mut world = Self {
            accounts: Vec::new(),
            seed,
            next_address: AtomicU32::new(u32::try_from(seed % 65_536)?),
            registered: AtomicU32::new(0),
        };
        world.accounts = world.log_all_in(daemon, emails).await?;
        Ok(Arc::new(world))
    }

    async fn log_all_in(&self, daemon: &Daemon, emails: Vec<String>) -> Result<Vec<Account>> {
        let clients = client::connect(daemon.public, Protocol::Http1, PREPARING).await?;
        let mut parts: Vec<VecDeque<_>> = (0..PREPARING).map(|_| VecDeque::new()).collect();
        for (number, email) in emails.into_iter().enumerate() {
            let login = self.login(&email, None)?;
            parts[number % PREPARING].push_back((email, login, self.address()));
        }
        let mut all = JoinSet::new();
        for (client, part) in clients.into_iter().zip(parts) {
            all.spawn(log_in(client, part));
        }
        let mut accounts = Vec::new();
        for part in all.join_all().await {
            accounts.extend(part?);
        }
        Ok(accounts)
    }

    /// A request from the next address of a client.
    pub fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder().method(method).uri(path).header(FORWARDED_FOR, self.address())
    }

    fn address(&self) -> HeaderValue {
        let number = self.next_address.fetch_add(1, Ordering::Relaxed) % ADDRESSES;
        let [_, second, third, fourth] = number.to_be_bytes();
        let address = Ipv4Addr::new(10, second, third, fourth).to_string();
        HeaderValue::from_str(&address).unwrap_or_else(|_| HeaderValue::from_static("10.0.0.1"))
    }

    /// A login, with the token of a known device.
    pub fn login(&self, email: &str, device: Option<&HeaderValue>) -> Result<Request<Full<Bytes>>> {
        let mut request = self.request(Method::POST, "/api/login");
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(device) = device {
            request = request.header(DEVICE, device);
        }
        let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#);
        Ok(request.body(Full::new(Bytes::from(body)))?)
    }

    /// The body of the registration of a new account.
    pub fn registration(&self) -> String {
        let number = self.registered.fetch_add(1, Ordering::Relaxed);
        let seed = self.seed;
        format!(
            r#"{{"email":"new-{seed}-{number}@example.com","password":"{PASSWORD}","name":"Ada"}}"#
        )
    }
}

type Login = (String, Request<Full<Bytes>>, HeaderValue);

async fn log_in(mut client: Client, logins: VecDeque<Login>) -> Result<Vec<Account>> {
    let mut accounts = Vec::new();
    for (email, login, address) in logins {
        let response = until_served(&mut client, login).await?;
        let tokens = tokens_of(&response)?;
        let device = response.headers.get(DEVICE).ok_or("a login without a device token")?.clone();
        let me = Request::get("/api/me")
            .header(FORWARDED_FOR, address)
            .header(AUTHORIZATION, &tokens.user)
            .body(Full::new(Bytes::new()))?;
        let response = until_served(&mut client, me).await?;
        let me: Me = serde_json::from_slice(&response.body)
            .map_err(|error| format!("GET /api/me: {}: {error}", response.status))?;
        let tokens = Mutex::new(tokens);
        accounts.push(Account { email, team: me.team.id, device, tokens });
    }
    Ok(accounts)
}

/// Sends a request of the preparation again if a busy machine could not serve it.
async fn until_served(client: &mut Client, request: Request<Full<Bytes>>) -> Result<Response> {
    for _ in 1..ATTEMPTS {
        let response = client.send(request.clone()).await?;
        if response.status != StatusCode::SERVICE_UNAVAILABLE {
            return Ok(response);
        }
    }
    Ok(client.send(request).await?)
}
