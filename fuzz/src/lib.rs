//! The fuzz harnesses. There is one for each parser of untrusted bytes. A harness checks the
//! properties that the result of its parser must have.
//!
//! A harness is a function that takes bytes. cargo-fuzz calls it through `targets/`, and
//! `scripts/fuzz` runs cargo-fuzz. `tests/api/corpora.rs` calls each harness on stable Rust with
//! each file of its corpus, so that an error that was fixed does not come back. The inputs are
//! text, so that developers can read and write a corpus by hand. An input consists of lines, or of
//! one byte that selects a mode and the text that is tested.

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
pub mod passkey;
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

/// The client of all requests. Its IP address belongs to no machine (RFC 5737). It is not a
/// loopback address, so requests from it cannot reach the endpoints that serve only loopback
/// clients.
const STRANGER: Peer =
    Peer { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), transport: Transport::Plain };

/// Creates the request of an anonymous client, in the form in which a handler receives it.
fn request_of(uri: hyper::Uri, headers: HeaderMap, body: &[u8]) -> Request {
    let mut head = hyper::Request::post(uri).body(()).expect("a request").into_parts().0;
    head.headers = headers;
    let (cx, _) = Cx::new(STRANGER, &head.headers, &[], ANSWER_WITHIN);
    let mut request = Request::new(cx, head);
    request.body = body.to_vec().into();
    request
}
