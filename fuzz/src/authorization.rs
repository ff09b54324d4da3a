//! `Authorization: Bearer …` (RFC 6750 §2.1). The input is the header's value.

use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use latchkey::problem::Code;

/// A token is what stands behind the scheme and its spaces, whole, and nothing else ever passes.
pub fn run(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value);
    let request = super::request_of(Uri::from_static("/api/me"), headers, b"");
    match request.bearer() {
        Ok(Some(token)) => {
            assert!(!token.is_empty() && token.trim_matches(' ') == token);
            // hyper's idea of text: a tab is one, what is not ASCII is not.
            assert!(token.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
            let (scheme, rest) = data.split_at(b"bearer".len());
            assert!(scheme.eq_ignore_ascii_case(b"bearer") && rest.starts_with(b" "));
            assert_eq!(String::from_utf8_lossy(rest).trim_matches(' '), token);
        }
        Ok(None) => panic!("a header that is there is not absent"),
        Err(problem) => assert_eq!(problem.code, Code::InvalidToken),
    }
}
