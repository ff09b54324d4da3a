//! The allocations of a request in the dispatcher, the handler and the access log.

use std::net::{IpAddr, Ipv4Addr};

use allocation_counter::measure;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use latchkey::http::cx::{Peer, Transport};
use latchkey::http::dispatch::Dispatcher;
use latchkey::telemetry::ids::Identify;
use latchkey::telemetry::json::Json;
use tokio::runtime::Builder;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{TIMES, within};
use crate::app::{Backend, TestApp};

/// A client on the network. It is no trusted proxy.
const PEER: Peer =
    Peer { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), transport: Transport::Plain };

fn request(path: &str, token: &str) -> Request<Full<Bytes>> {
    let mut request = Request::get(path).header("host", "latchkey.test").header("accept", "*/*");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Full::default()).expect("a request")
}

// The runtime has one thread, so that all allocations of a request are counted. SQLite has its own
// threads, which are not counted.
#[test]
fn a_request_allocates_no_more_than_its_bound() {
    let log = Json(drop::<Vec<u8>>);
    let subscriber = tracing_subscriber::registry().with(Identify).with(log);
    let _logs = tracing::subscriber::set_default(subscriber);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let builder = TestApp::builder(Backend::Embedded).set("rate_limit.enabled", "true");
    let app = runtime.block_on(builder.start());
    let ada = runtime.block_on(app.verified("ada@example.org"));
    runtime.block_on(app.outbox_is_empty());
    let dispatcher = Dispatcher::new(app.inside().clone());
    let token = ada.user_token.as_str();
    let figures = [
        ("/.well-known/jwks.json", "", 200, 26),
        ("/nothing", "", 404, 27),
        ("/api/me", "e30.e30.e30", 401, 33),
        ("/api/me", token, 200, 150),
        ("/api/sessions", token, 200, 310),
        ("/api/teams", token, 200, 180),
    ]
    .map(|(path, token, status, bound)| {
        let costs = (0..TIMES).map(|_| {
            let (request, mut answered) = (request(path, token), 0);
            let cost = measure(|| {
                answered = runtime.block_on(dispatcher.serve(PEER, request)).status().as_u16();
            });
            assert_eq!(answered, status, "{path}");
            cost.count_total
        });
        (path, costs.min().unwrap_or_default(), bound)
    });
    runtime.block_on(app.finish());
    within(&figures);
}
