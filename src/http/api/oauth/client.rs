//! Authentication of a client by its secret (RFC 6749 §2.3.1).
//!
//! A client authenticates with HTTP Basic or with `client_id` and `client_secret` in the body, but
//! never in both ways. In HTTP Basic the id and the secret are form-encoded, as the RFC requires.
//! They are also accepted without encoding, because many clients do not encode them. Every failed
//! authentication gets the same error `invalid_client`.
//!
//! latchkey compares the secret in the request with the secrets of all clients of the operator,
//! whichever id the request names. latchkey compares digests of the secrets. A project's key is
//! looked up by its id, which is not secret. The lookup happens only if the checksum of the key is
//! right.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header;
use percent_encoding::percent_decode_str;

use crate::admission::{Action, Decision};
use crate::app::App;
use crate::config::IntrospectionClient;
use crate::http::answer::TokenShown;
use crate::http::form::Form;
use crate::http::limit::{self, Holder};
use crate::http::request::Request;
use crate::problem::{Code, OauthError, Problem};
use crate::secret::{self, Secret};
use crate::team::key_text::KeyText;
use crate::team::keys::KnownKey;

/// A client that has authenticated itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client {
    /// A resource server of the operator, from `introspection.clients`. It may introspect every
    /// token.
    Operator {
        /// The `client_id`.
        id: String,
    },
    /// A project's key. It may introspect the vaultTokens of its own team.
    ProjectKey(KnownKey),
}

impl Client {
    /// Whether the client may introspect userTokens.
    pub fn sees_users(&self) -> bool {
        matches!(self, Self::Operator { .. })
    }

    /// Whether the client may introspect vaultTokens of this team.
    pub fn sees_team(&self, tid: Option<&str>) -> bool {
        match self {
            Self::Operator { .. } => true,
            Self::ProjectKey(key) => tid.is_some_and(|tid| tid == key.team_id.to_string()),
        }
    }
}

/// The possible pairs of id and secret. The first pair is as the client sent it. The second pair is
/// form-decoded.
struct Credentials {
    candidates: Vec<(String, Secret<String>)>,
}

/// Authenticates the client of a request. Failed attempts are limited for each client IP address.
/// The limit never delays a client that sends the right secret.
///
/// # Errors
/// `invalid_client` (401) if the client is unknown or its secret is wrong or missing.
/// `invalid_request` (400) if the client authenticates in both ways. [`Code::RateLimited`] after
/// too many failed attempts. A 503 if the database is down.
pub async fn authenticate(
    app: &App,
    request: &mut Request,
    form: &Form,
) -> Result<Client, Problem> {
    let known = match Credentials::of(request, form)? {
        Some(credentials) => credentials.client(app, request).await?,
        None => None,
    };
    if let Some(client) = known {
        return Ok(client);
    }
    let decision = app.admission.limiter.check(Action::ClientFailure, request.client());
    // The response has the headers of this limit only if the limit refuses the request. A client
    // with the right secret is not affected by the limit.
    if let Decision::Limited { .. } = decision {
        limit::report(request, &decision)?;
    }
    Err(invalid_client())
}

/// Whether a request carries client credentials. A Bearer token does not count, because it belongs
/// to a user.
pub fn is_shown(request: &Request, form: &Form) -> bool {
    let is_client = request.headers.contains_key(header::AUTHORIZATION)
        && TokenShown::by(&request.headers) == TokenShown::No;
    is_client || form.get("client_secret").is_some()
}

fn invalid_client() -> Problem {
    Problem::new(Code::InvalidCredentials)
        .detail("The client is unknown, or its secret is wrong or missing.")
        .oauth(OauthError::InvalidClient)
}

impl Credentials {
    /// Reads the credentials of a request. Returns none if the request has no readable credentials.
    fn of(request: &Request, form: &Form) -> Result<Option<Self>, Problem> {
        let two_ways = || {
            Problem::new(Code::MalformedRequest)
                .detail("Authenticate either with HTTP Basic or in the body, not in both ways.")
                .oauth(OauthError::InvalidRequest)
        };
        let (id, secret) = (form.get("client_id"), form.get("client_secret"));
        let Some(header) = request.headers.get(header::AUTHORIZATION) else {
            let pair = id.zip(secret);
            return Ok(pair.map(|(id, secret)| Self {
                candidates: vec![(id.expose().clone(), secret.clone())],
            }));
        };
        if secret.is_some() {
            return Err(two_ways());
        }
        let Some(basic) = header.to_str().ok().and_then(Self::basic) else { return Ok(None) };
        // RFC 6749 §3.2.1 also allows a client with HTTP Basic to send its id in the body. Both ids
        // must be the same.
        let is_same = |id: &Secret<String>| {
            basic.candidates.iter().any(|(candidate, _)| candidate == id.expose())
        };
        if id.is_some_and(|id| !is_same(id)) {
            return Err(two_ways());
        }
        Ok(Some(basic))
    }

    /// Reads HTTP Basic (RFC 7617): the scheme, then base64 of `id:secret`.
    fn basic(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let bytes = STANDARD.decode(encoded.trim_matches(' ')).ok()?;
        let text = Secret::new(String::from_utf8(bytes).ok()?);
        let (id, secret) = text.expose().split_once(':')?;
        let decoded = |part: &str| {
            let spaced = part.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
        };
        let mut candidates = vec![(id.to_owned(), Secret::new(secret.to_owned()))];
        if let (Some(id), Some(secret)) = (decoded(id), decoded(secret)) {
            candidates.push((id, Secret::new(secret)));
        }
        Some(Self { candidates })
    }

    /// The client that the credentials belong to. The lookup of a key takes a permit that is
    /// counted by the key's text, because the team of the key is not known yet. The permit is not
    /// counted by the id of the key. The id is not secret, so other clients could use up the
    /// permits of the key.
    async fn client(&self, app: &App, request: &Request) -> Result<Option<Client>, Problem> {
        if let Some(client) = operator(&self.candidates, &app.introspection_clients.load()) {
            return Ok(Some(client));
        }
        let Some(text) = key_text(&self.candidates) else { return Ok(None) };
        let now = app.clock.now();
        let _pass = limit::permit(app, request, Holder::Key(&text.digest)).await?;
        let Some(key) = KnownKey::shown(&app.db, &text, now).await? else { return Ok(None) };
        if let Err(error) = key.used(&app.db, now).await {
            tracing::warn!(error = %error, "cannot store when a key was used");
        }
        Ok(Some(Client::ProjectKey(key)))
    }
}

/// The text of a project's key, if the secret of a candidate is a key and the id of the candidate
/// is the id of this key.
fn key_text(candidates: &[(String, Secret<String>)]) -> Option<KeyText> {
    candidates.iter().find_map(|(id, secret)| {
        KeyText::parse(secret.expose()).filter(|text| text.id.to_string() == *id)
    })
}

/// The client of the operator that the credentials match. Every client is compared with every
/// candidate, so that the time of the response reveals nothing.
fn operator(
    candidates: &[(String, Secret<String>)],
    clients: &[IntrospectionClient],
) -> Option<Client> {
    let mut found = None;
    for (id, secret) in candidates {
        let shown = secret::sha256(secret.expose().as_bytes());
        for client in clients {
            let known = secret::sha256(client.secret.expose().as_bytes());
            // The secret is compared first, so that the time does not reveal which ids exist.
            if secret::equal(shown.as_bytes(), known.as_bytes()) && client.id == *id {
                found = Some(Client::Operator { id: client.id.clone() });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients() -> Vec<IntrospectionClient> {
        [("gateway", "s+e%63ret"), ("a:b c", "other")]
            .map(|(id, secret)| IntrospectionClient {
                id: id.to_owned(),
                secret: Secret::new(secret.to_owned()),
            })
            .into()
    }

    fn by_basic(scheme: &str, text: &str) -> Option<Client> {
        let credentials = Credentials::basic(&format!("{scheme} {}", STANDARD.encode(text)))?;
        operator(&credentials.candidates, &clients())
    }

    #[test]
    fn basic_takes_credentials_encoded_as_the_rfc_has_it_and_bare() {
        let gateway = Some(Client::Operator { id: "gateway".to_owned() });
        assert_eq!(by_basic("Basic", "gateway:s+e%63ret"), gateway);
        assert_eq!(by_basic("bAsIc", "gateway:s%2Be%2563ret"), gateway);
        let colon = Some(Client::Operator { id: "a:b c".to_owned() });
        assert_eq!(by_basic("Basic", "a%3Ab+c:other"), colon);
    }

    #[test]
    fn a_secret_is_good_for_its_own_client_alone() {
        for wrong in ["gateway:other", "gateway:", "gateway", ":s+e%63ret", "Gateway:s+e%63ret"] {
            assert_eq!(by_basic("Basic", wrong), None, "{wrong}");
        }
        assert_eq!(by_basic("Bearer", "gateway:s+e%63ret"), None);
    }

    #[test]
    fn a_key_names_itself_by_its_own_id() {
        let id = uuid::Uuid::from_u128(7);
        let text = crate::team::key_text::make(id);
        let named = |name: String| key_text(&[(name, text.clone())]);
        assert_eq!(named(id.to_string()).map(|text| text.id), Some(id));
        for other in [id.simple().to_string(), uuid::Uuid::from_u128(8).to_string(), String::new()]
        {
            assert_eq!(named(other), None);
        }
    }
}
