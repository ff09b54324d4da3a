//! The endpoints that are measured: their requests, and the parts of which each is made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};

use crate::Result;
use crate::client::Response;
use crate::daemon::RESOURCE_SERVER;
use crate::limits::Part;
use crate::world::{Account, World, tokens_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Jwks,
    Discovery,
    NotFound,
    Forged,
    ExistEmail,
    Me,
    ForwardAuth,
    Introspect,
    Sessions,
    Teams,
    Members,
    Switch,
    Refresh,
    Login,
    Register,
}

impl Endpoint {
    pub const ALL: [Self; 15] = [
        Self::Jwks,
        Self::Discovery,
        Self::NotFound,
        Self::Forged,
        Self::ExistEmail,
        Self::Me,
        Self::ForwardAuth,
        Self::Introspect,
        Self::Sessions,
        Self::Teams,
        Self::Members,
        Self::Switch,
        Self::Refresh,
        Self::Login,
        Self::Register,
    ];

    /// The endpoints that are also measured with other numbers of clients and at fixed rates.
    pub const MAIN: [Self; 4] = [Self::Jwks, Self::Me, Self::Refresh, Self::Login];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Jwks => "JWKS",
            Self::Discovery => "discovery",
            Self::NotFound => "404",
            Self::Forged => "401, forged token",
            Self::ExistEmail => "exist-email",
            Self::Me => "me",
            Self::ForwardAuth => "forward-auth",
            Self::Introspect => "introspect",
            Self::Sessions => "sessions",
            Self::Teams => "teams",
            Self::Members => "members",
            Self::Switch => "switch",
            Self::Refresh => "refresh",
            Self::Login => "login",
            Self::Register => "register",
        }
    }

    /// The name as an argument of the generator.
    pub fn argument(self) -> String {
        self.name().split(',').next().unwrap_or_default().to_lowercase()
    }

    /// The least work that the endpoint needs. Writes of the audit are one commit.
    pub const fn parts(self) -> &'static [Part] {
        use Part::{
            Check, Commit, Email, Hash, Http, List, Open, Read, Rotate, Sign, TeamRead, Verify,
        };
        match self {
            Self::Jwks | Self::Discovery | Self::NotFound | Self::Forged => &[Http],
            Self::ExistEmail => &[Http, Email],
            Self::Me => &[Http, Read, Check],
            Self::ForwardAuth | Self::Introspect => &[Http, Verify, Read, Check],
            Self::Sessions => &[Http, Read, Check, List],
            Self::Teams | Self::Members => &[Http, Read, Check, TeamRead],
            Self::Switch => &[Http, Read, Check, Rotate, Commit, Sign],
            Self::Refresh => &[Http, Read, Check, Rotate, Sign],
            Self::Login => &[Http, Check, Hash, Open, Commit, Sign],
            Self::Register => &[Http, Hash, Open, Commit, Sign],
        }
    }

    pub const fn expected(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forged => StatusCode::UNAUTHORIZED,
            _ => StatusCode::OK,
        }
    }

    /// Whether a request leaves a mail in the outbox, which a worker sends later.
    pub const fn sends_mail(self) -> bool {
        matches!(self, Self::Register)
    }

    pub fn request(self, world: &World, account: &Account) -> Result<Request<Full<Bytes>>> {
        let none = || Full::new(Bytes::new());
        let get = |path: &str| world.request(Method::GET, path);
        let user = |path: &str| get(path).header(AUTHORIZATION, account.tokens().user);
        let request = match self {
            Self::Jwks => get("/.well-known/jwks.json").body(none()),
            Self::Discovery => get("/.well-known/openid-configuration").body(none()),
            Self::NotFound => get("/api/does-not-exist").body(none()),
            Self::Forged => {
                get("/api/me").header(AUTHORIZATION, forged(&account.tokens().user)).body(none())
            }
            Self::ExistEmail => get(&format!("/api/exist-email/{}", account.email)).body(none()),
            Self::Me => user("/api/me").body(none()),
            Self::ForwardAuth => {
                get("/api/forward-auth").header(AUTHORIZATION, account.tokens().vault).body(none())
            }
            Self::Introspect => {
                let vault = account.tokens().vault;
                let token = vault.to_str()?.trim_start_matches("Bearer ");
                let client = STANDARD.encode(RESOURCE_SERVER);
                world
                    .request(Method::POST, "/api/introspect")
                    .header(AUTHORIZATION, format!("Basic {client}"))
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(Full::new(Bytes::from(format!("token={token}"))))
            }
            Self::Sessions => user("/api/sessions").body(none()),
            Self::Teams => user("/api/teams").body(none()),
            Self::Members => user(&format!("/api/teams/{}/members", account.team)).body(none()),
            Self::Switch => world
                .request(Method::POST, &format!("/api/teams/{}/switch", account.team))
                .header(AUTHORIZATION, account.tokens().user)
                .body(none()),
            Self::Refresh => user("/api/refresh").body(none()),
            Self::Login => return world.login(&account.email, Some(&account.device)),
            Self::Register => world
                .request(Method::POST, "/api/register")
                .header(CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from(world.registration()))),
        };
        Ok(request?)
    }

    /// Keeps what the next request of the account needs, and checks the content of the response.
    pub fn learn(self, account: &Account, response: &Response) -> Result<()> {
        match self {
            Self::Refresh => account.set_tokens(tokens_of(response)?),
            Self::Switch | Self::Login | Self::Register => drop(tokens_of(response)?),
            Self::ExistEmail if &*response.body != b"true" => {
                return Err("exist-email does not know an imported account".into());
            }
            Self::Introspect if !response.body.starts_with(br#"{"active":true"#) => {
                return Err("introspect does not know a valid token".into());
            }
            _ => {}
        }
        Ok(())
    }
}

/// The token with another signature.
fn forged(token: &HeaderValue) -> HeaderValue {
    let mut bytes = token.as_bytes().to_vec();
    let end = bytes.len().saturating_sub(10);
    for byte in &mut bytes[end..] {
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
    HeaderValue::from_bytes(&bytes).unwrap_or_else(|_| HeaderValue::from_static("Bearer forged"))
}
