//! [`Answer`]: a response that a test received, and the tokens in it.
#![allow(dead_code, reason = "a harness offers more than one state of the tests uses")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hyper::header::HeaderMap;
use serde_json::Value;

/// Decodes the payload of a JWT without verifying the signature.
#[track_caller]
pub fn claims(token: &str) -> Value {
    jwt_part(token, 1)
}

/// Decodes the header of a JWT.
#[track_caller]
pub fn jose_header(token: &str) -> Value {
    jwt_part(token, 0)
}

#[track_caller]
fn jwt_part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap_or_else(|| panic!("not a JWT: {token}"));
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url without padding");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The userToken and the vaultToken of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub user: String,
    pub vault: String,
}

impl Answer {
    /// Returns the body as text, for failure messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{} with no JSON: {}", self.status, self.text()))
    }

    /// Returns the value of a header, or `None` if the header is absent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of ours is ASCII"))
    }

    /// Fails the test unless the response has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Fails the test unless the response has this status and is a problem with this code (RFC
    /// 9457).
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.problem_code().as_str()), (status, code), "{}", self.text());
        self
    }

    /// Returns the `code` of the problem in the response.
    #[track_caller]
    pub fn problem_code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text()
        );
        self.json()["code"].as_str().expect("a problem has a code").to_owned()
    }

    /// Returns the tokens in the response. Fails the test unless the status is 200.
    #[track_caller]
    pub fn tokens(&self) -> Tokens {
        assert_eq!(self.status, 200, "{}", self.text());
        let body = self.json();
        let token = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}"));
        Tokens { user: token("userToken").to_owned(), vault: token("vaultToken").to_owned() }
    }
}
