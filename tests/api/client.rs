//! The clients of a daemon. [`Client`] can send any request. [`Anonymous`] and [`Person`] have one
//! method for each endpoint that they use.
#![allow(dead_code, reason = "a harness offers more than one state of the tests uses")]

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::declared;

pub use crate::answer::{Answer, Tokens, claims, jose_header};

/// The time that a test waits for a response. It is far above every deadline of latchkey.
const ANSWER: Duration = Duration::from_secs(30);

/// A client of one listener. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    /// The connections, which all clones of the client share. The value is `None` after the client
    /// is closed.
    http: Arc<ArcSwapOption<HyperClient<HttpConnector, Full<Bytes>>>>,
    headers: Vec<(String, String)>,
}

impl Client {
    /// Creates a client of the listener at this socket address.
    pub fn new(address: SocketAddr) -> Self {
        let http = HyperClient::builder(TokioExecutor::new()).build_http();
        let http = Arc::new(ArcSwapOption::from_pointee(http));
        Self { address, http, headers: Vec::new() }
    }

    /// Closes the connections of this client and of its clones. Otherwise a daemon that stops would
    /// wait for these connections.
    pub fn close(&self) {
        self.http.store(None);
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a client that sends one more header with each request.
    #[must_use]
    pub fn header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// Returns a client that sends this token.
    #[must_use]
    pub fn bearer(&self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, Bytes::new()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, Bytes::new()).await
    }

    /// Sends a request without a body.
    pub async fn bare(&self, method: Method, path: &str) -> Answer {
        self.send(method, path, None, Bytes::new()).await
    }

    pub async fn post_json(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    pub async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send(method, path, Some("application/json"), Bytes::from(body.to_string())).await
    }

    /// Sends a POST with a form (`application/x-www-form-urlencoded`).
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let pairs: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let body = Bytes::from(pairs.join("&"));
        self.send(Method::POST, path, Some("application/x-www-form-urlencoded"), body).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let asked = request.method_ref().cloned().unwrap_or_default();
        let request = request.body(Full::new(body)).expect("a valid request");
        let answer = timeout(
            ANSWER,
            Box::pin(async {
                let http = self.http.load_full().expect("this client was closed");
                let answer = http.request(request).await.expect("the daemon answers");
                drop(http);
                let (head, body) = answer.into_parts();
                let body = body.collect().await.expect("the whole body arrives").to_bytes();
                Answer { status: head.status.as_u16(), headers: head.headers, body }
            }),
        );
        let answer = answer.await.expect("an answer within its time");
        declared::check(&asked, path, &answer);
        answer
    }

    /// Writes these bytes to a new connection, and reads until the other side closes the
    /// connection.
    pub async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.expect("connected");
            stream.write_all(bytes).await.expect("written");
            let mut answer = Vec::new();
            // After its response, the other side can also close the connection with a reset.
            let _end = stream.read_to_end(&mut answer).await;
            answer
        };
        timeout(ANSWER, exchange).await.expect("the other side closes the connection")
    }
}

/// Percent-encodes a path segment or a query value.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A client without a token.
#[derive(Clone, Debug)]
pub struct Anonymous(pub Client);

impl Deref for Anonymous {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

impl Anonymous {
    /// Sends `POST /api/register`.
    pub async fn register(&self, email: &str, password: &str, name: &str) -> Answer {
        let body = json!({ "email": email, "password": password, "name": name });
        self.post_json("/api/register", body).await
    }

    /// Sends `POST /api/login`.
    pub async fn login(&self, email: &str, password: &str) -> Answer {
        self.post_json("/api/login", json!({ "email": email, "password": password })).await
    }

    /// Sends `GET /api/verify-email/{token}`.
    pub async fn verify(&self, token: &str) -> Answer {
        self.get(&format!("/api/verify-email/{}", encoded(token))).await
    }

    /// Sends `POST /api/forgot-passsword`. The page uses this spelling.
    pub async fn forgot(&self, email: &str) -> Answer {
        self.post_json("/api/forgot-passsword", json!({ "email": email })).await
    }

    /// Sends `POST /api/reset-passsword`.
    pub async fn reset(&self, token: &str, new_password: &str) -> Answer {
        let body = json!({ "token": token, "newPassword": new_password });
        self.post_json("/api/reset-passsword", body).await
    }

    /// Sends `GET /api/exist-email/{email}`.
    pub async fn exists(&self, email: &str) -> Answer {
        self.get(&format!("/api/exist-email/{}", encoded(email))).await
    }
}

/// A user with an account and the tokens of one session.
#[derive(Clone, Debug)]
pub struct Person {
    pub email: String,
    pub password: String,
    pub name: String,
    pub user_token: String,
    pub vault_token: String,
    pub sid: String,
    client: Client,
}

impl Person {
    /// Registers an account. Its email address is not confirmed yet.
    pub async fn register(client: &Client, email: &str) -> Self {
        let mut person = Self {
            email: email.to_owned(),
            password: "correct horse battery".to_owned(),
            name: "Ada Lovelace".to_owned(),
            user_token: String::new(),
            vault_token: String::new(),
            sid: String::new(),
            client: client.clone(),
        };
        let answer = person.anonymous().register(email, &person.password, &person.name).await;
        person.keep(answer.tokens());
        person
    }

    /// Returns a client of the same listener without a token.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous(self.client.clone())
    }

    /// Returns a client that sends the userToken.
    pub fn as_user(&self) -> Client {
        self.client.bearer(&self.user_token)
    }

    /// Returns a client that sends the vaultToken.
    pub fn as_vault(&self) -> Client {
        self.client.bearer(&self.vault_token)
    }

    /// Replaces the tokens of this user.
    pub fn keep(&mut self, tokens: Tokens) {
        let sid =
            claims(&tokens.user)["sid"].as_str().expect("a userToken has a session").to_owned();
        self.sid = sid;
        self.user_token = tokens.user;
        self.vault_token = tokens.vault;
    }

    fn keep_when_ok(&mut self, answer: Answer) -> Answer {
        if answer.status == 200 {
            self.keep(answer.tokens());
        }
        answer
    }

    /// Logs in again and stores the tokens of the new session.
    pub async fn login(&mut self) -> Answer {
        let answer = self.anonymous().login(&self.email, &self.password).await;
        self.keep_when_ok(answer)
    }

    /// Logs in as the same user on another device. The existing session stays open.
    pub async fn another_device(&self) -> Self {
        let mut other = self.clone();
        other.login().await.expect(200);
        other
    }

    /// Sends the token of the confirmation mail and stores the tokens of the new session.
    pub async fn verify(&mut self, token: &str) -> Answer {
        let answer = self.anonymous().verify(token).await;
        self.keep_when_ok(answer)
    }

    /// Sends `GET /api/refresh` and stores the new tokens.
    pub async fn refresh(&mut self) -> Answer {
        let answer = self.as_user().get("/api/refresh").await;
        self.keep_when_ok(answer)
    }

    /// Sends `POST /api/logout`.
    pub async fn logout(&self) -> Answer {
        self.as_user().bare(Method::POST, "/api/logout").await
    }

    /// Sends `GET /api/me`.
    pub async fn me(&self) -> Answer {
        self.as_user().get("/api/me").await
    }

    /// Sends `GET /api/sessions`.
    pub async fn sessions(&self) -> Answer {
        self.as_user().get("/api/sessions").await
    }

    /// Sends `POST /api/change-password`. On success it stores the new tokens and the new password.
    pub async fn change_password(&mut self, new_password: &str) -> Answer {
        let body = json!({ "password": self.password, "newPassword": new_password });
        let answer = self.as_user().post_json("/api/change-password", body).await;
        if answer.status == 200 {
            new_password.clone_into(&mut self.password);
        }
        self.keep_when_ok(answer)
    }

    /// Sends `DELETE /api/me`.
    pub async fn leave(&self) -> Answer {
        let body = json!({ "password": self.password });
        self.as_user().json(Method::DELETE, "/api/me", body).await
    }
}
