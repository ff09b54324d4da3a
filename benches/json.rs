//! Benchmark: latchkey's strict parser for JSON bodies. It is compared with serde_json, which
//! parses the same body into a struct.

use std::hint::black_box;

use latchkey::http::json::Object;
use latchkey::secret::Secret;
use serde::Deserialize;

use crate::measure::{Effort, Table};

/// A body for `POST /api/register`. It contains a JSON member that the endpoint does not know.
const BODY: &[u8] = br#"{"email":"ada.lovelace@example.com","password":"correct horse battery","name":"Ada Lovelace","newsletter":{"weekly":false,"topics":["engines","numbers"]}}"#;

#[derive(Deserialize)]
struct Register {
    email: String,
    password: String,
    name: String,
}

pub fn run(effort: Effort) {
    let table = Table::new("json", effort);
    table.row(
        &format!("read a body of {} bytes", BODY.len()),
        || {
            let mut body = Object::parse(black_box(BODY)).expect("an object");
            black_box((
                body.text("email"),
                body.text("password").map(Secret::new),
                body.text("name"),
            ));
            body.finish().expect("complete");
        },
        "serde_json into a struct",
        || {
            let body: Register = serde_json::from_slice(black_box(BODY)).expect("an object");
            black_box((body.email, body.password, body.name));
        },
    );
}
