//! A resource server of one team. It serves `GET /reports` to vaultTokens of this team with the
//! scope `vault:read`. For `GET /salaries` the user must also have proved a second factor within 15
//! minutes.
//!
//!     cargo run --example rust -- ISSUER TEAM [PORT]
//!
//! It uses `jsonwebtoken`, hyper and tokio. With a web framework, call `Guard::admit` from a
//! middleware.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::{Request, Response};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// latchkey allows clients to cache its keys for this time.
const KEPT: Duration = Duration::from_mins(5);
/// Any client can name an unknown key, so an unknown key starts a fetch only if the last one was
/// this long ago.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(10);
/// The seconds by which the clocks of latchkey and this server may differ.
const LEEWAY: u64 = 60;
/// The seconds for which a second factor counts as fresh.
const MAX_AGE: u64 = 900;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    scope: String,
    tid: Option<String>,
    pid: Option<String>,
    acr: Option<String>,
    auth_time: Option<u64>,
}

/// Why a request is refused: an error response of RFC 6750 §3, or an internal error.
enum Refused {
    With(u16, &'static str),
    Trouble,
}

const NO_TOKEN: Refused = Refused::With(401, "Bearer");
const INVALID: Refused = Refused::With(401, r#"Bearer error="invalid_token""#);
const FORBIDDEN: Refused = Refused::With(403, r#"Bearer error="insufficient_scope""#);
const NOT_FRESH: Refused = Refused::With(
    401,
    r#"Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="900""#,
);

/// The public keys of the issuer, and the time of the last fetch.
#[derive(Default)]
struct Keys {
    set: Option<JwkSet>,
    asked: Option<Instant>,
}

/// Accepts tokens of one team.
struct Guard {
    issuer: String,
    team: String,
    client: Client<HttpConnector, Empty<Bytes>>, // for https use a connector of hyper-rustls
    keys: Mutex<Keys>,
}

impl Guard {
    async fn admit(&self, authorization: Option<&str>, scope: &str) -> Result<Claims, Refused> {
        let (scheme, token) =
            authorization.and_then(|value| value.split_once(' ')).ok_or(NO_TOKEN)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(NO_TOKEN);
        }
        let claims = self.verify(token.trim()).await?;
        // The tokens of all teams have the same `aud` and are signed with the same keys, so this
        // server must check the team.
        let is_ours = claims.tid.as_deref() == Some(self.team.as_str());
        let may = claims.scope.split(' ').any(|one| one == scope);
        if is_ours && may { Ok(claims) } else { Err(FORBIDDEN) }
    }

    async fn verify(&self, token: &str) -> Result<Claims, Refused> {
        let header = decode_header(token).map_err(|_malformed| INVALID)?;
        if header.typ.as_deref() != Some("at+jwt") {
            return Err(INVALID);
        }
        let key = self.key(&header.kid.ok_or(INVALID)?).await?;
        // This server chooses the algorithm, not the token (RFC 8725 §3.1).
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&["vault"]);
        rules.set_required_spec_claims(&["iss", "sub", "aud", "exp", "nbf"]);
        rules.validate_nbf = true;
        rules.leeway = LEEWAY;
        decode(token, &key, &rules).map(|data| data.claims).map_err(|_invalid| INVALID)
    }

    /// Returns the key with this id. Fetches the keys again if they are old or the id is unknown.
    async fn key(&self, kid: &str) -> Result<DecodingKey, Refused> {
        let mut keys = self.keys.lock().await;
        let is_known = keys.set.as_ref().is_some_and(|set| set.find(kid).is_some());
        let good_for = if is_known { KEPT } else { BETWEEN_QUESTIONS };
        if keys.set.is_none() || keys.asked.is_none_or(|asked| asked.elapsed() > good_for) {
            keys.asked = Some(Instant::now());
            match self.fetch().await {
                Ok(set) => keys.set = Some(set),
                // If the fetch fails, the known keys stay in use. Without any keys the response is
                // 500, never 401.
                Err(error) => eprintln!("the keys could not be fetched: {error}"),
            }
        }
        let jwk = keys.set.as_ref().ok_or(Refused::Trouble)?.find(kid).ok_or(INVALID)?;
        DecodingKey::from_jwk(jwk).map_err(|_unusable| INVALID)
    }

    async fn fetch(&self) -> Result<JwkSet, Failure> {
        let address = format!("{}/.well-known/jwks.json", self.issuer).parse()?;
        let answer = timeout(ANSWER_TIMEOUT, self.client.get(address)).await??;
        if !answer.status().is_success() {
            return Err(format!("the issuer responded with status {}", answer.status()).into());
        }
        let body = timeout(ANSWER_TIMEOUT, answer.into_body().collect()).await??.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let mut response = Response::new(Full::default());
        let is_salaries = request.uri().path() == "/salaries";
        if !is_salaries && request.uri().path() != "/reports" {
            *response.status_mut() = hyper::StatusCode::NOT_FOUND;
            return Ok(response);
        }
        let authorization =
            request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let admitted = self.admit(authorization, "vault:read").await;
        let admitted =
            if is_salaries { admitted.and_then(require_second_factor) } else { admitted };
        match admitted {
            Ok(claims) => {
                let body = serde_json::json!({ "subject": claims.sub, "project": claims.pid });
                *response.body_mut() = Full::from(body.to_string());
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, "application/json".parse().expect("ASCII"));
            }
            Err(Refused::With(status, challenge)) => {
                *response.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().expect("ASCII"));
            }
            Err(Refused::Trouble) => {
                *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            }
        }
        Ok(response)
    }
}

/// Refuses a token without a fresh second factor (RFC 9470 §3). Then the client sends a code to
/// `POST /api/step-up` of latchkey, and repeats its request with the new vaultToken.
fn require_second_factor(claims: Claims) -> Result<Claims, Refused> {
    let now = UNIX_EPOCH.elapsed().map_err(|_clock| Refused::Trouble)?.as_secs();
    let is_fresh = claims.auth_time.is_some_and(|at| now.saturating_sub(at) <= MAX_AGE + LEEWAY);
    if is_fresh && claims.acr.as_deref() == Some("aal2") { Ok(claims) } else { Err(NOT_FRESH) }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (issuer, team) =
        arguments.next().zip(arguments.next()).ok_or("usage: ISSUER TEAM [PORT]")?;
    let port = arguments.next().map_or(Ok(8000), |port| port.parse())?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let guard = Arc::new(Guard { issuer, team, client, keys: Mutex::default() });
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _peer) = listener.accept().await?;
        let guard = Arc::clone(&guard);
        while connections.try_join_next().is_some() {} // removes those that have ended
        connections.spawn(async move {
            let service = hyper::service::service_fn(|request| guard.answer(request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}
