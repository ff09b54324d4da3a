//! Tests of attacks that are possible only with HTTP/2: resets, floods, endless header blocks,
//! closed flow-control windows, and forbidden header fields.

use super::frames::{
    ACK, CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, fields, frame, frame_of, request,
};
use crate::app::{TestApp, both};

const HEAD: u8 = END_HEADERS | END_STREAM;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Returns the HEADERS frame of a GET request on this stream.
fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, HEAD, stream, &fields(&request("GET", "/api/me")))
}

/// Checks that a server under attack still serves other clients.
async fn others_are_served(app: &TestApp) {
    app.anonymous().get("/api/me").await.expect_problem(401, "invalid-token");
    assert_eq!(app.inside().worker_crashes(), 0);
}

/// Returns the first result on a stream. This is the header block of its response, the reset of the
/// stream, or the end of the connection.
async fn word(connection: &mut Connection, stream: u32) -> Option<Frame> {
    connection
        .until(|it| {
            it.kind == GOAWAY || (it.stream == stream && matches!(it.kind, HEADERS | RST_STREAM))
        })
        .await
}

both!(streams_that_are_reset_at_once_hold_nothing, async |app| {
    // CVE-2023-44487: the client opens a stream and resets it at once, again and again, so that it
    // never reaches the limit of open streams.
    let mut connection = Connection::open(app, &[]).await;
    let mut stream = 1;
    'flood: for _ in 0..200 {
        let mut batch = Vec::new();
        for _ in 0..50 {
            batch.extend(get(stream));
            batch.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            stream += 2;
        }
        if !connection.send(&batch).await {
            break 'flood;
        }
    }
    // The server either closes the connection with error 0xb (RFC 9113 §7), or it has served all
    // requests and holds no resources for them.
    match connection.until(|it| it.kind == GOAWAY).await {
        Some(end) => assert_eq!(end.error(), 0xb, "ENHANCE_YOUR_CALM"),
        None => assert!(!connection.send(&get(stream)).await || connection.next().await.is_none()),
    }
    others_are_served(app).await;
});

both!(a_head_without_an_end_ends_the_connection, async |app| {
    // VU#421644: the client sends CONTINUATION frames without end. The frames are large, small or
    // empty.
    for size in [16_384, 1, 0] {
        let mut connection = Connection::open(app, &[]).await;
        let start = fields(&request("GET", "/api/me"));
        assert!(connection.send(&frame(HEADERS, END_STREAM, 1, &start)).await);
        // The byte 0x41 starts a literal header field, and the next bytes 0x41 continue this field.
        let more = frame(CONTINUATION, 0, 1, &vec![0x41; size]);
        let (mut sent, batch) = (0_usize, more.repeat(64));
        let ended = loop {
            if !connection.send(&batch).await {
                break true;
            }
            sent += batch.len();
            if sent > 8 * 1024 * 1024 {
                break false;
            }
        };
        assert!(ended, "{sent} bytes of frames of {size} were taken");
        others_are_served(app).await;
    }
});

both!(a_head_of_more_than_16_kib_is_refused, async |app| {
    let long = "a".repeat(1000);
    for count in [17, 60, 200] {
        let mut connection = Connection::open(app, &[]).await;
        let names: Vec<String> = (0..count).map(|n| format!("x-{n}")).collect();
        let mut all: Vec<(&str, &str)> = request("GET", "/api/me");
        all.extend(names.iter().map(|name| (name.as_str(), long.as_str())));
        let block = fields(&all);
        let mut chunks = block.chunks(16_000);
        let first = chunks.next().expect("a chunk");
        let mut bytes = frame(HEADERS, END_STREAM, 1, first);
        for chunk in chunks {
            bytes.extend(frame(CONTINUATION, 0, 1, chunk));
        }
        bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
        connection.send(&bytes).await;
        match word(&mut connection, 1).await {
            Some(frame) if frame.kind == HEADERS => {
                assert_eq!(frame.status(), Some(431), "{count}");
            }
            Some(frame) => assert_ne!(frame.error(), 0, "{count}"),
            None => {}
        }
        others_are_served(app).await;
    }
    // The HPACK bomb: a small block refers to one table entry of 4 KiB again and again, so that the
    // block becomes a large header.
    let mut connection = Connection::open(app, &[]).await;
    let mut block = fields(&request("GET", "/api/me"));
    // A literal field is added to the dynamic table (RFC 7541 §6.2.1). The field then has the index
    // 62.
    block.extend([0x40, 1, b'x', 127]);
    block.extend(
        [(3800_usize - 127) % 128 + 128, (3800 - 127) / 128]
            .map(|n| u8::try_from(n).expect("a byte")),
    );
    block.extend(vec![b'a'; 3800]);
    block.extend(vec![0x80 | 0x3e; 4000]);
    assert!(connection.send(&frame(HEADERS, HEAD, 1, &block)).await);
    match word(&mut connection, 1).await {
        Some(frame) if frame.kind == HEADERS => assert_eq!(frame.status(), Some(431)),
        Some(frame) => assert_ne!(frame.error(), 0),
        None => {}
    }
    others_are_served(app).await;
});

both!(floods_of_small_frames_are_answered_or_end_the_connection, async |app| {
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]);
    let floods: [(&str, Vec<u8>); 8] = [
        ("PING", frame(PING, 0, 0, b"12345678")),
        ("PING that acknowledges nothing", frame(PING, ACK, 0, b"12345678")),
        ("SETTINGS", settings),
        ("empty SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("frames of an unknown kind", frame(0xbe, 0, 0, &[0; 32])),
        ("empty DATA on a closed stream", frame(DATA, 0, 1, &[])),
    ];
    for (name, flood) in floods {
        let mut connection = Connection::open(app, &[]).await;
        if name.contains("closed stream") {
            connection.send(&get(1)).await;
            connection.until(|it| it.stream == 1 && it.flags & END_STREAM != 0).await;
        }
        // The client sends 20 000 frames. If the frames of a flood cause no responses, the client
        // reads nothing before it has sent them all.
        let batch = flood.repeat(100);
        let mut taken = true;
        for _ in 0..200 {
            taken = taken && connection.send(&batch).await;
            if !taken {
                break;
            }
            // The client must read the responses, because otherwise the client and the server would
            // wait for each other.
            if matches!(name, "PING" | "SETTINGS" | "empty SETTINGS") {
                for _ in 0..100 {
                    taken = taken && connection.next().await.is_some_and(|it| it.kind != GOAWAY);
                }
            }
        }
        println!("{name}: {}", if taken { "taken" } else { "ended" });
        if taken && !name.contains("closed stream") {
            assert!(connection.lives().await, "{name}");
        }
        others_are_served(app).await;
    }
});

both!(the_101st_request_at_once_is_refused, async |app| {
    let mut connection = Connection::open(app, &[]).await;
    let mut head = request("POST", "/api/login");
    head.push(("content-type", "application/json"));
    let head = fields(&head);
    // The bodies never end, so each stream stays open.
    for n in 0..101 {
        assert!(connection.send(&frame(HEADERS, END_HEADERS, 2 * n + 1, &head)).await);
    }
    let refused = connection.until(|it| matches!(it.kind, RST_STREAM | GOAWAY)).await;
    let refused = refused.expect("a word about the last");
    assert_eq!(
        (refused.kind, refused.stream, refused.error()),
        (RST_STREAM, 201, 7),
        "REFUSED_STREAM"
    );
    // The other 100 streams stay open and get their responses.
    assert!(connection.send(&frame(DATA, END_STREAM, 1, b"{}")).await);
    let answer = connection.until(|it| it.stream == 1 && it.kind == HEADERS).await;
    assert!(answer.is_some());
    others_are_served(app).await;
});

both!(a_client_that_opens_no_window_gets_no_more_than_a_head, async |app| {
    let mut connection = Connection::open(app, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for n in 0..100 {
        let head = fields(&request("GET", "/openapi.json"));
        assert!(connection.send(&frame(HEADERS, HEAD, 2 * n + 1, &head)).await);
    }
    let mut heads = 0;
    while heads < 100 {
        let frame = connection.next().await.expect("the connection stands");
        assert!(frame.kind != DATA || frame.payload.is_empty(), "nothing fits into no window");
        heads += usize::from(frame.kind == HEADERS);
    }
    // The daemon holds no permit for this client, because it has already done the work for the
    // responses.
    let gate = &app.inside().gate.in_flight;
    assert_eq!(gate.free(), app.inside().config.http.max_in_flight);
    others_are_served(app).await;
});

both!(a_head_that_http_2_forbids_is_refused, async |app| {
    let good = request("GET", "/problems/email-taken");
    let with = |more: &[(&'static str, &'static str)]| [good.as_slice(), more].concat();
    let without = |name: &str| -> Vec<_> {
        good.iter().copied().filter(|(other, _)| *other != name).collect()
    };
    let mut late = without(":path");
    late.extend([("x-a", "b"), (":path", "/problems/email-taken")]);
    let heads: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("connection", with(&[("connection", "close")])),
        ("connection that names", with(&[("connection", "x-a"), ("x-a", "b")])),
        ("keep-alive", with(&[("keep-alive", "timeout=5")])),
        ("proxy-connection", with(&[("proxy-connection", "keep-alive")])),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")])),
        ("upgrade", with(&[("upgrade", "h2c")])),
        ("te: gzip", with(&[("te", "gzip")])),
        ("a capital", with(&[("X-A", "b")])),
        ("a space in a name", with(&[("x a", "b")])),
        ("a colon in a name", with(&[("x:a", "b")])),
        ("an empty name", with(&[("", "b")])),
        ("a line's end in a value", with(&[("x-a", "b\r\nx-b: c")])),
        ("a NUL in a value", with(&[("x-a", "b\0c")])),
        ("a line's end in a name", with(&[("x-a\r\nx-b", "c")])),
        ("an unknown pseudo field", with(&[(":evil", "x")])),
        ("a response's pseudo field", with(&[(":status", "200")])),
        ("two paths", with(&[(":path", "/api/me")])),
        ("two methods", with(&[(":method", "POST")])),
        ("two authorities", with(&[(":authority", "evil.example")])),
        ("two schemes", with(&[(":scheme", "https")])),
        ("a pseudo field behind others", late),
        ("no path", without(":path")),
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("an empty path", [without(":path"), vec![(":path", "")]].concat()),
        (
            "a path without a slash",
            [without(":path"), vec![(":path", "problems/email-taken")]].concat(),
        ),
        (
            "a path with a space",
            [without(":path"), vec![(":path", "/problems/email-taken x")]].concat(),
        ),
        (
            "a request line in the method",
            [vec![(":method", "GET /x HTTP/1.1\r\n")], without(":method")].concat(),
        ),
        ("a length of a body that is not there", with(&[("content-length", "5")])),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "5")])),
        ("a length that is none", with(&[("content-length", "+0")])),
    ];
    assert!(heads.len() >= 31);
    let mut left = Vec::new();
    for (name, head) in heads {
        let mut connection = Connection::open(app, &[]).await;
        assert!(connection.send(&frame(HEADERS, HEAD, 1, &fields(&head))).await, "{name}");
        if let Some(answer) = word(&mut connection, 1).await
            && answer.kind == HEADERS
            // The index of `:status: 200` in the static table is 8.
            && answer.payload.first() == Some(&0x88)
        {
            left.push(name);
        }
    }
    assert!(left.is_empty(), "served as if nothing were: {left:?}");
    others_are_served(app).await;
});

both!(frames_that_make_no_sense_end_the_stream_or_the_connection, async |app| {
    let head = fields(&request("GET", "/api/me"));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("DATA on no stream", frame(DATA, 0, 0, b"x")),
        ("DATA on a stream that is not open", frame(DATA, 0, 1, b"x")),
        ("HEADERS on no stream", frame(HEADERS, HEAD, 0, &head)),
        ("HEADERS on a server's stream", frame(HEADERS, HEAD, 2, &head)),
        ("a stream below the last", [get(5), get(3)].concat()),
        ("a stream twice", [get(1), get(1)].concat()),
        ("a frame over 16 KiB", frame(DATA, 0, 1, &vec![0; 16_385])),
        ("a frame of 16 MiB, announced", frame_of(0xff_ffff, HEADERS, HEAD, 1, &head)),
        ("CONTINUATION out of nothing", frame(CONTINUATION, END_HEADERS, 1, &head)),
        (
            "a head cut by another frame",
            [frame(HEADERS, END_STREAM, 1, &head[..5]), frame(PING, 0, 0, b"12345678")].concat(),
        ),
        (
            "a head continued on another stream",
            [
                frame(HEADERS, END_STREAM, 1, &head[..5]),
                frame(CONTINUATION, END_HEADERS, 3, &head[5..]),
            ]
            .concat(),
        ),
        ("a window by nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("a window over its limit", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255])),
        ("a window of three bytes", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1])),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[])),
        ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        ("SETTINGS that acknowledge and set", frame(SETTINGS, ACK, 0, &[0; 6])),
        ("a window over its limit by SETTINGS", frame(SETTINGS, 0, 0, &[0, 4, 255, 255, 255, 255])),
        ("a frame size below the least", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1])),
        ("push set to 2", frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2])),
        ("PING of seven bytes", frame(PING, 0, 0, b"1234567")),
        ("PING on a stream", frame(PING, 0, 1, b"12345678")),
        ("PUSH_PROMISE from a client", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])),
        ("RST_STREAM on no stream", frame(RST_STREAM, 0, 0, &[0; 4])),
        ("RST_STREAM of a stream never seen", frame(RST_STREAM, 0, 9, &[0; 4])),
        ("RST_STREAM of three bytes", [get(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat()),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8])),
        ("padding over the frame", frame(HEADERS, HEAD | 8, 1, &[255, 0x82])),
        (
            "a head that depends on itself",
            frame(HEADERS, HEAD | 0x20, 1, &[&[0, 0, 0, 1, 16], head.as_slice()].concat()),
        ),
        ("HPACK: an index of nothing", frame(HEADERS, HEAD, 1, &[0x80])),
        (
            "HPACK: an index beyond the table",
            frame(HEADERS, HEAD, 1, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ),
        ("HPACK: an integer that does not end", frame(HEADERS, HEAD, 1, &[0xff; 64])),
        ("HPACK: Huffman that is none", frame(HEADERS, HEAD, 1, &[0, 0x81, 0, 0x81, 0xff])),
        ("HPACK: a table beyond its limit", frame(HEADERS, HEAD, 1, &[0x3f, 0xe1, 0xff, 0x03])),
    ];
    assert!(cases.len() >= 34);
    for (name, bytes) in cases {
        let mut connection = Connection::open(app, &[]).await;
        connection.send(&bytes).await;
        // The client sends nothing more. A server that waits for the rest of a frame with a wrong
        // length must close the stream or the connection.
        let end = connection.until(|it| matches!(it.kind, GOAWAY | RST_STREAM)).await;
        if let Some(end) = end {
            assert_ne!(end.error(), 0, "{name}");
        }
    }
    others_are_served(app).await;
});
