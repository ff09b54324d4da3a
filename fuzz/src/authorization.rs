//! The fuzz harness for `Authorization: Bearer …` (RFC 6750 §2.1). The input is the value of the
//! header.

use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use latchkey::problem::Code;

/// Checks that the token is everything after the scheme and the spaces that follow the scheme. If
/// the header has another form, the request must be refused.
pub fn run(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value);
    let request = super::request_of(Uri::from_static("/api/me"), headers, b"");
    match request.bearer() {
        Ok(Some(token)) => {
            assert!(!token.is_empty() && token.trim_matches(' ') == token);
            // hyper accepts a tab in the text of a header, and rejects bytes outside of ASCII.
            assert!(token.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
            let (scheme, rest) = data.split_at(b"bearer".len());
            assert!(scheme.eq_ignore_ascii_case(b"bearer") && rest.starts_with(b" "));
            assert_eq!(String::from_utf8_lossy(rest).trim_matches(' '), token);
        }
        Ok(None) => panic!("a header that is there is not absent"),
        Err(problem) => assert_eq!(problem.code, Code::InvalidToken),
    }
}
