//! What is fuzzed: every parser of a stranger's bytes, each with what must hold of its answer.
//!
//! A harness is a function of bytes: cargo-fuzz calls it by `targets/` (`scripts/fuzz`), and `tests/api/corpora.rs` calls
//! it on stable with each file of `corpus/`, so that what was once found stays found. Inputs are read as text, lines or
//! a mode byte and a rest, so that a corpus can be read and written by hand.

pub mod address;
pub mod authorization;
pub mod captcha;
pub mod client;
pub mod device;
mod edits;
mod fixture;
pub mod forwarded;
pub mod import;
pub mod json;
pub mod jwt;
pub mod path;
pub mod person;
pub mod phc;
pub mod project_key;
pub mod request;
pub mod settings;

pub use fixture::Fixture;

use std::net::{IpAddr, Ipv4Addr};

use hyper::header::HeaderMap;
use latchkey::http::cx::{Cx, Peer, Transport};
use latchkey::http::request::Request;
use latchkey::http::router::ANSWER_WITHIN;

/// Nobody's machine (RFC 5737): what is served to loopback alone is not served to it.
const STRANGER: Peer =
    Peer { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), transport: Transport::Plain };

/// A request of a stranger, as a handler gets it.
fn request_of(uri: hyper::Uri, headers: HeaderMap, body: &[u8]) -> Request {
    Request {
        cx: Cx::new(STRANGER, &headers, &[], ANSWER_WITHIN).0,
        method: hyper::Method::POST,
        uri,
        headers,
        body: body.to_vec().into(),
        params: Vec::new(),
    }
}
