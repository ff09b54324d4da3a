//! Tests of request smuggling, which uses bytes that two parsers could split at different places.
//! The daemon must never answer the hidden request, whatever it does with the first request.

use super::Raw;
use crate::app::{TestApp, both};

/// The hidden request. It asks for a page that every client is allowed to read, so the response
/// would be a 200.
const HIDDEN: &str = "GET /problems/email-taken HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
const POST: &str =
    "POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
const GET: &str = "GET /api/me HTTP/1.1\r\nHost: 127.0.0.1\r\n";

/// The minimum number of cases in each table.
const BOTH_LENGTHS: usize = 120;
const BAD_LENGTHS: usize = 20;
const BAD_CHUNKS: usize = 18;
const BAD_HEADS: usize = 34;

/// Returns the statuses of all responses on one connection, in order. Fails the test if the daemon
/// answered the hidden request.
async fn statuses(app: &TestApp, name: &str, bytes: &[u8]) -> Vec<u16> {
    let answer = app.raw(bytes).await;
    let mut left = answer.as_slice();
    let mut statuses = Vec::new();
    while !left.is_empty() {
        let (answer, rest) = Raw::first(left);
        assert!(
            !(answer.status == 200 && answer.head.contains("text/html")),
            "{name}: the hidden request was answered"
        );
        statuses.push(answer.status);
        left = rest;
    }
    statuses
}

/// Valid and invalid spellings of the header `Transfer-Encoding`.
const CODINGS: [&str; 30] = [
    "Transfer-Encoding: chunked",
    "Transfer-Encoding:chunked",
    "transfer-encoding: CHUNKED",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: chunked ",
    "Transfer-Encoding: chunked\t",
    "Transfer-Encoding:  chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: ch\u{fc}nked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding : chunked",
    " Transfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "X: x\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-encoding: cow",
];

both!(a_length_besides_a_coding_never_lets_a_second_request_through, async |app| {
    let mut count = 0;
    for coding in CODINGS {
        // For a parser that uses the chunks, the body ends before the hidden request. For a parser
        // that uses the length, the body includes the hidden request or ends inside the chunks.
        let rest = format!("2\r\n{{}}\r\n0\r\n\r\n{HIDDEN}");
        for length in [rest.len(), 4] {
            for coding_first in [true, false] {
                let length = format!("Content-Length: {length}");
                let lines = if coding_first { [coding, &length] } else { [&length, coding] };
                let request = format!("{POST}{}\r\n{}\r\n\r\n{rest}", lines[0], lines[1]);
                let name = format!("{coding:?} and {length}, coding first: {coding_first}");
                let statuses = statuses(app, &name, request.as_bytes()).await;
                assert_eq!(statuses.len(), 1, "{name}: {statuses:?}");
                assert!(matches!(statuses[0], 400 | 422), "{name}: {statuses:?}");
                count += 1;
            }
        }
    }
    assert!(count >= BOTH_LENGTHS, "{count}");
});

both!(a_length_that_is_no_number_is_refused, async |app| {
    let lengths = [
        "+2",
        "-2",
        "-0",
        "0x2",
        "2.0",
        "1e1",
        "2 2",
        "2;x",
        "two",
        "\"2\"",
        "２",
        "\u{660}",
        "2,3",
        "2, 3",
        "3\r\nContent-Length: 2",
        "2\r\nContent-Length: 3",
        "2\r\nContent-Length: x",
        "99999999999999999999",
        "18446744073709551616",
        "-18446744073709551614",
        "2\u{b}",
    ];
    assert!(lengths.len() >= BAD_LENGTHS);
    for length in lengths {
        let request = format!("{POST}Content-Length: {length}\r\n\r\n{{}}{HIDDEN}");
        assert_eq!(statuses(app, length, request.as_bytes()).await, [400], "{length:?}");
    }
});

both!(chunks_that_are_none_are_refused, async |app| {
    let chunks = [
        "zz\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
        ";x\r\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "２\r\n{}\r\n0\r\n\r\n",
        "2\r{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}\rx0\r\n\r\n",
        "2\r\n{}XX\r\n0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
        "10000000000000000\r\n{}\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
        "00000000000000000000002\n\r\n{}\r\n0\r\n\r\n",
        "2;x\ny\r\n{}\r\n0\r\n\r\n",
    ];
    assert!(chunks.len() >= BAD_CHUNKS);
    for chunk in chunks {
        let request = format!("{POST}Transfer-Encoding: chunked\r\n\r\n{chunk}{HIDDEN}");
        assert_eq!(statuses(app, chunk, request.as_bytes()).await, [400], "{chunk:?}");
    }
    // latchkey does not use chunk extensions or trailers, and it limits their size.
    let extended = format!("2;x={}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(40 * 1024));
    let trailed = format!("2\r\n{{}}\r\n0\r\n{}\r\n", "X-A: b\r\n".repeat(4000));
    for (name, chunks) in [("extensions", extended), ("trailers", trailed)] {
        let request = format!("{POST}Transfer-Encoding: chunked\r\n\r\n{chunks}{HIDDEN}");
        assert_eq!(statuses(app, name, request.as_bytes()).await, [400], "{name}");
    }
    let small = format!(
        "{POST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{{}}\r\n0\r\nX-A: b\r\n\r\n"
    );
    assert_eq!(statuses(app, "an extension and a trailer", small.as_bytes()).await, [422]);
});

both!(heads_that_are_none_are_refused, async |app| {
    let cases: Vec<(&str, String)> = [
        ("obsolete folding", format!("{GET}X-A: 1\r\n 2\r\n\r\n")),
        ("obsolete folding by a tab", format!("{GET}X-A: 1\r\n\t2\r\n\r\n")),
        ("a space before the first header", "GET /api/me HTTP/1.1\r\n Host: x\r\n\r\n".into()),
        ("a space before the colon", format!("{GET}X-A : b\r\n\r\n")),
        ("a tab before the colon", format!("{GET}X-A\t: b\r\n\r\n")),
        ("no name", format!("{GET}: b\r\n\r\n")),
        ("no colon", format!("{GET}X-A\r\n\r\n")),
        ("a name with a space", format!("{GET}X A: b\r\n\r\n")),
        ("a name with brackets", format!("{GET}X(A): b\r\n\r\n")),
        ("a name beyond ASCII", format!("{GET}X-\u{c4}: b\r\n\r\n")),
        ("a NUL in a name", format!("{GET}X\0A: b\r\n\r\n")),
        ("a NUL in a value", format!("{GET}X-A: a\0b\r\n\r\n")),
        ("a CR in a value", format!("{GET}X-A: a\rb\r\n\r\n")),
        ("a bell in a value", format!("{GET}X-A: a\u{7}b\r\n\r\n")),
        ("a DEL in a value", format!("{GET}X-A: a\u{7f}b\r\n\r\n")),
        ("HTTP/0.9", "GET /api/me\r\n\r\n".into()),
        ("HTTP/0.9 by name", "GET /api/me HTTP/0.9\r\n\r\n".into()),
        ("HTTP/1.2", "GET /api/me HTTP/1.2\r\nHost: x\r\n\r\n".into()),
        ("HTTP/2.0 in text", "GET /api/me HTTP/2.0\r\nHost: x\r\n\r\n".into()),
        ("HTTP/11", "GET /api/me HTTP/11\r\nHost: x\r\n\r\n".into()),
        ("http in small letters", "GET /api/me http/1.1\r\nHost: x\r\n\r\n".into()),
        ("another protocol", "GET /api/me RTSP/1.0\r\nHost: x\r\n\r\n".into()),
        ("two spaces", "GET  /api/me HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a tab between", "GET\t/api/me\tHTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a space in the target", "GET /api/me x HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a NUL in the target", "GET /api/me\0 HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a CR in the target", "GET /api\r/me HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("no method", " /api/me HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a method with a bracket", "G(T /api/me HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("no Host", "GET /api/me HTTP/1.1\r\n\r\n".into()),
        ("two Hosts", format!("{GET}Host: evil.example\r\n\r\n")),
        ("two Hosts alike", format!("{GET}Host: 127.0.0.1\r\n\r\n")),
        ("an empty line of LF", "GET /api/me HTTP/1.1\r\nHost: x\n\r\r\n\r\n".into()),
        ("a TLS hello", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\r\n\r\n".into()),
        ("an SMTP hello", "EHLO evil.example\r\n\r\n".into()),
        ("HTTP/2's preface, broken", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".into()),
    ]
    .into();
    assert!(cases.len() >= BAD_HEADS);
    for (name, head) in cases {
        let told = statuses(app, name, format!("{head}{HIDDEN}").as_bytes()).await;
        assert_eq!(told, [400], "{name}");
    }
});

both!(a_refused_request_takes_what_follows_with_it, async |app| {
    let large = 20_000;
    let body = format!("{HIDDEN}{}", " ".repeat(large - HIDDEN.len()));
    for (name, head, status) in [
        ("a body too large", format!("{POST}Content-Length: {large}\r\n\r\n"), 413),
        (
            "a body too large, and asked for leave",
            format!("{POST}Expect: 100-continue\r\nContent-Length: {large}\r\n\r\n"),
            413,
        ),
        (
            "a path that is none",
            format!("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: {large}\r\n\r\n"),
            404,
        ),
        (
            "a method that is none",
            format!("PUT /api/me HTTP/1.1\r\nHost: x\r\nContent-Length: {large}\r\n\r\n"),
            405,
        ),
    ] {
        let end = "GET /api/captcha HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let told = statuses(app, name, format!("{head}{body}{end}").as_bytes()).await;
        // Either the server has closed the connection, or it has read the complete body.
        assert!(told == [status] || told == [status, 200], "{name}: {told:?}");
    }
    // A GET request is allowed to have a body. The daemon must use its length to find the next
    // request.
    let get = format!("{GET}Content-Length: {}\r\n\r\n{HIDDEN}", HIDDEN.len());
    let end = "GET /api/captcha HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(
        statuses(app, "a GET with a body", format!("{get}{end}").as_bytes()).await,
        [401, 200]
    );
});

both!(a_connection_of_http_1_0_has_one_answer_unless_it_asks, async |app| {
    for (name, head, expected) in [
        ("plain", "GET /api/me HTTP/1.0\r\n\r\n", vec![401]),
        ("close", "GET /api/me HTTP/1.0\r\nConnection: close\r\n\r\n", vec![401]),
        (
            "a coding, which 1.0 does not know",
            "POST /api/login HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            vec![400],
        ),
        (
            "a coding and a length",
            "POST /api/login HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            vec![400],
        ),
    ] {
        let told = statuses(app, name, format!("{head}{HIDDEN}").as_bytes()).await;
        assert_eq!(told, expected, "{name}");
    }
});

both!(an_upgrade_is_not_taken, async |app| {
    for upgrade in ["h2c", "websocket", "TLS/1.0", "HTTP/2.0"] {
        let request = format!(
            "{GET}Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: {upgrade}\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        assert_eq!(statuses(app, upgrade, request.as_bytes()).await, [401], "{upgrade}");
    }
});
