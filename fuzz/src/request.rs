//! The fuzz harness for a complete request, which the dispatcher of a daemon serves. The input is a
//! line `METHOD target`, header lines, an empty line, and the body.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{HOST, HeaderName, HeaderValue};
use serde_json::Value;

use super::fixture::Fixture;

/// Checks that every response has the security headers and a documented content type, and that no
/// response has the status 500. If the response is a problem, its JSON must be complete.
pub fn run(fixture: &Fixture, data: &[u8]) {
    let Some(request) = parse(data) else { return };
    let answer = fixture.dispatcher.serve(super::STRANGER, request);
    let (head, body) = fixture.runtime.block_on(async {
        let (head, body) = answer.await.into_parts();
        let Ok(body) = body.collect().await;
        (head, body.to_bytes())
    });
    let status = head.status.as_u16();
    assert_ne!(status, 500);
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("x-content-type-options"), Some("nosniff"));
    assert_eq!(header("referrer-policy"), Some("no-referrer"));
    assert!(
        header("content-security-policy")
            .is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    assert!(header("x-request-id").is_some() && header("cache-control").is_some());
    assert_eq!(header("access-control-allow-origin"), None, "no origin is listed");
    assert_eq!(header("set-cookie"), None);
    assert_eq!(header("server"), None);
    let kind = header("content-type");
    assert_eq!(body.is_empty(), kind.is_none() || status == 204 || status == 303);
    if kind == Some("application/problem+json") {
        let problem: Value = serde_json::from_slice(&body).expect("a problem is JSON");
        assert_eq!(problem["status"], status);
        assert!(problem["code"].is_string() && problem["traceId"].is_string());
    } else if kind == Some("application/json") {
        let _: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(status, 200);
    }
    assert_eq!(header("www-authenticate").is_some(), status == 401);
}

fn parse(data: &[u8]) -> Option<hyper::Request<Full<Bytes>>> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    let mut request = hyper::Request::builder().method(&first[..space]).uri(&first[space + 1..]);
    let mut body = Vec::new();
    let mut in_body = false;
    for line in lines {
        if in_body {
            body.extend_from_slice(line);
        } else if line.is_empty() {
            in_body = true;
        } else {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            request = request.header(name, value);
        }
    }
    let mut request = request.body(Full::new(body.into())).ok()?;
    // The harness adds a `Host` header if the input has none, because the dispatcher refuses
    // requests without this header early. The fuzzer can still send two `Host` headers.
    request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("127.0.0.1"));
    Some(request)
}
