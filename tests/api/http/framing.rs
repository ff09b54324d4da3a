//! Tests of the boundary between two requests on one connection, and of the size limits of a
//! request.

use super::{Raw, bare};
use crate::app::both;

/// Returns the statuses of all responses in the bytes of one connection.
fn answers(bytes: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    let mut left = bytes;
    while !left.is_empty() {
        let (answer, rest) = Raw::first(left);
        statuses.push(answer.status);
        left = rest;
    }
    statuses
}

both!(what_is_too_long_is_refused_by_name, async |app| {
    let close = ("Connection", "close");
    let cases: [(Vec<u8>, u16, &str); 3] = [
        (bare("GET", &format!("/api/me?{}", "a".repeat(4096)), &[close]), 414, "uri-too-long"),
        (bare("GET", &format!("/{}", "a".repeat(4096)), &[close]), 414, "uri-too-long"),
        (
            bare(
                "GET",
                "/api/me",
                &[close, ("Authorization", &format!("Bearer {}", "a".repeat(8192)))],
            ),
            431,
            "headers-too-large",
        ),
    ];
    for (request, status, code) in cases {
        let answer = Raw::only(&app.raw(&request).await);
        assert_eq!(answer.problem(), (status, code.to_owned()));
    }
    let longest = format!("/api/me?{}", "a".repeat(4096 - "/api/me?".len()));
    let answer = Raw::only(&app.raw(&bare("GET", &longest, &[close])).await);
    assert_eq!(answer.status, 401, "4 KiB are not too long");
});

both!(more_than_64_headers_or_16_kib_of_them_are_431, async |app| {
    let names: Vec<String> = (0..63).map(|n| format!("X-{n}")).collect();
    let mut headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    headers.pop();
    headers.push(("Connection", "close"));
    let answer = Raw::only(&app.raw(&bare("GET", "/api/me", &headers)).await);
    assert_eq!(answer.status, 401, "Host and 63 others are 64");
    headers.push(("X-Last", "1"));
    assert_eq!(Raw::only(&app.raw(&bare("GET", "/api/me", &headers)).await).status, 431);
    let long = "a".repeat(1000);
    let many: Vec<(&str, &str)> = names.iter().take(17).map(|n| (n.as_str(), &*long)).collect();
    assert_eq!(Raw::only(&app.raw(&bare("GET", "/api/me", &many)).await).status, 431);
});

both!(two_authorizations_are_400_and_the_connection_closes, async |app| {
    let twice =
        bare("GET", "/api/me", &[("Authorization", "Bearer a"), ("Authorization", "Bearer b")]);
    let bytes = app.raw(&[twice, bare("GET", "/api/me", &[])].concat()).await;
    let answer = Raw::only(&bytes);
    assert_eq!(answer.problem(), (400, "malformed-request".to_owned()));
    assert_eq!(answer.header("connection"), Some("close"));
});

both!(a_length_besides_chunks_gets_one_answer_and_the_connection_closes, async |app| {
    let body = "{}";
    let smuggled = String::from_utf8(bare("GET", "/smuggled", &[])).expect("ASCII");
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n{smuggled}", body.len());
    let (length, chunked) =
        (format!("Content-Length: {}", chunks.len()), "Transfer-Encoding: chunked".to_owned());
    for [first, second] in [[&length, &chunked], [&chunked, &length]] {
        let request = format!(
            "POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             {first}\r\n{second}\r\n\r\n{chunks}"
        );
        let answer = Raw::only(&app.raw(request.as_bytes()).await);
        assert_eq!(answer.status, 422, "the chunks are the body ({first} first)");
        assert_eq!(answer.header("connection"), Some("close"));
    }
});

both!(what_cannot_be_framed_is_refused_and_the_connection_closes, async |app| {
    let next = String::from_utf8(bare("GET", "/api/me", &[])).expect("ASCII");
    let post = "POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
    let cases = [
        (
            "obsolete folding",
            "GET /api/me HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: 1\r\n 2\r\n\r\n".into(),
        ),
        ("two lengths", format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}")),
        ("a length with a sign", format!("{post}Content-Length: +2\r\n\r\n{{}}")),
        ("an unknown coding", format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")),
        (
            "chunks that are not last",
            format!("{post}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        ),
        ("a space before the colon", "GET /api/me HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n".into()),
        (
            "a NUL in a header",
            "GET /api/me HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: a\0b\r\n\r\n".into(),
        ),
        ("HTTP/0.9", "GET /api/me\r\n\r\n".to_owned()),
    ];
    for (name, request) in cases {
        let bytes = app.raw(format!("{request}{next}").as_bytes()).await;
        assert_eq!(answers(&bytes), [400], "{name}");
    }
    let bad_chunk =
        format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n{next}");
    assert_eq!(answers(&app.raw(bad_chunk.as_bytes()).await), [400], "a chunk without a size");
});

both!(a_connection_is_kept_for_the_next_request, async |app| {
    let last = bare("GET", "/api/me", &[("Connection", "close")]);
    let bytes = app.raw(&[bare("GET", "/api/captcha", &[]), last].concat()).await;
    assert_eq!(answers(&bytes), [200, 401]);
});
