//! The fuzz harness for client credentials (RFC 6749 §2.3.1), which are sent by HTTP Basic or in a
//! form. The input is the value of `Authorization`, a newline, and the body. If the value begins
//! with `basic:`, the harness encodes the rest of the value in base64 and sends it as HTTP Basic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use latchkey::http::api::oauth::client::{Client, authenticate};
use latchkey::http::form::Form;
use latchkey::problem::Code;

use super::fixture::{CLIENT_ID, CLIENT_SECRET, Fixture};

/// Checks that a request is authenticated as the client `gateway` only if the header or the form
/// contains the complete secret. If the request is refused, the error code must be one of two.
pub fn run(fixture: &Fixture, data: &[u8]) {
    let (value, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b""[..]),
    };
    let mut headers = HeaderMap::new();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, form);
    let (value, plain) = match value.strip_prefix(b"basic:") {
        Some(pair) => (format!("Basic {}", STANDARD.encode(pair)).into_bytes(), pair.to_vec()),
        None => (value.to_vec(), decoded(value)),
    };
    if !value.is_empty() {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return };
        headers.insert(AUTHORIZATION, value);
    }
    let mut request = super::request_of(Uri::from_static("/api/introspect"), headers, body);
    let Ok(form) = Form::read(&request) else { return };
    let in_form = form.get("client_secret").is_some_and(|it| it.expose() == CLIENT_SECRET)
        && form.get("client_id").is_some_and(|it| it.expose() == CLIENT_ID);
    match fixture.runtime.block_on(authenticate(fixture.app(), &mut request, &form)) {
        Ok(Client::Operator { id }) => {
            assert_eq!(id, CLIENT_ID);
            assert!(in_form || is_the_gateway(&plain), "without the secret");
        }
        Ok(Client::ProjectKey(_)) => panic!("there is no key"),
        Err(problem) => {
            assert!(matches!(problem.code, Code::InvalidCredentials | Code::MalformedRequest));
            assert!(!(in_form && value.is_empty()), "the gateway is turned away");
        }
    }
}

/// Decodes the base64 part of a header. Returns no bytes if this part is invalid.
fn decoded(value: &[u8]) -> Vec<u8> {
    let encoded = value.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default();
    STANDARD.decode(encoded.trim_ascii()).unwrap_or_default()
}

/// Whether `plain` is the id and the secret of the client `gateway`. The id and the secret are
/// plain or form-encoded.
fn is_the_gateway(plain: &[u8]) -> bool {
    let pair =
        |id: &[u8], secret: &[u8]| id == CLIENT_ID.as_bytes() && secret == CLIENT_SECRET.as_bytes();
    let Some(at) = plain.iter().position(|byte| *byte == b':') else { return false };
    let (id, secret) = (&plain[..at], &plain[at + 1..]);
    pair(id, secret) || pair(&percent_decoded(id), &percent_decoded(secret))
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let line = [b"x=", text].concat();
    let escaped: Vec<u8> = line
        .iter()
        .flat_map(|byte| if *byte == b'&' { b"%26".to_vec() } else { vec![*byte] })
        .collect();
    let mut pairs = url::form_urlencoded::parse(&escaped);
    pairs.next().map(|(_, value)| value.into_owned().into_bytes()).unwrap_or_default()
}
