//! Tests with a reader that reads the log slowly, stops reading, or ends. In these cases the daemon
//! loses log lines, and nothing else.

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;

use super::{Daemon, PATIENCE, Place, Running};
use crate::client::Client;
use crate::poll::eventually;
use crate::servers::free_port;
use crate::telemetry::registry::{hold, sum};

/// The default capacity of a pipe in bytes (pipe(7)).
const PIPE_BYTES: usize = 65_536;
/// The number of requests whose log lines fill more than a pipe.
const REQUESTS: usize = 400;
/// The time within which the daemon must act: one second for the reader, plus an allowance for a
/// busy machine.
const SOON: Duration = Duration::from_secs(5);
/// The message that the daemon logs in place of the missing lines.
const GAP: &str =
    "log lines were dropped, because the log was not read in time or could not be written";

/// Returns a place with fixed ports, so that the test knows the addresses before the daemon prints
/// them.
fn place() -> Place {
    let address = || format!("127.0.0.1:{}", free_port());
    Place::new().set("http.listen", &address()).set("admin.listen", &address())
}

/// Starts a daemon that writes its output to this pipe, and waits until it is ready.
async fn start(place: &Place, stderr: PipeWriter) -> Running {
    let mut command = place.command(&[]);
    // stdout and stderr share one pipe, as under a container runtime or with `2>&1` in a shell.
    command.stdout(stderr.try_clone().expect("a descriptor")).stderr(stderr);
    let child = command.spawn().expect("the program runs");
    let mut daemon = Daemon { child, log: place.path("no log file") };
    let address = |name: &str| -> SocketAddr {
        let found = place.settings.iter().find(|(variable, _)| variable == name);
        found.expect("it is set").1.parse().expect("an address")
    };
    let (public, admin) = (address("LATCHKEY_HTTP__LISTEN"), address("LATCHKEY_ADMIN__LISTEN"));
    let client = Client::new(admin);
    eventually("readiness", PATIENCE, async || {
        assert!(daemon.ended().is_none(), "the daemon ended");
        let is_open = tokio::net::TcpStream::connect(admin).await.is_ok();
        (is_open && client.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    let key_file = place.path("data/mailbox-key");
    Running { client: Client::new(public), public, admin, daemon, key_file }
}

/// Returns a pipe that is full, so that it accepts no further byte.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().expect("a pipe");
    writer.write_all(&vec![b'\n'; PIPE_BYTES]).expect("as much as it holds");
    (reader, writer)
}

async fn is_alive(running: &Running) {
    for path in ["/livez", "/readyz", "/metrics"] {
        running.admin().get(path).await.expect(200);
    }
}

async fn ends_well(running: &mut Running) {
    running.daemon.signal("-TERM");
    assert_eq!(running.daemon.end(PATIENCE).await.code(), Some(0));
}

async fn dropped(running: &Running) -> f64 {
    let text = running.admin().get("/metrics").await.expect(200).text();
    hold(&text);
    sum(&text, "latchkey_log_dropped_total", &[])
}

/// Sends requests for a path that does not exist, until the daemon has dropped a log line.
async fn flood(running: &Running) {
    eventually("a line that is dropped", PATIENCE, async || {
        let asked = (0..REQUESTS).map(|_| running.client.get("/nowhere"));
        let answers = futures_util::stream::iter(asked).buffer_unordered(16);
        answers.for_each(async |answer| drop(answer.expect(404))).await;
        (dropped(running).await > 0.0).then_some(())
    })
    .await;
}

/// Reads to the end of the pipe.
fn read_all(reader: PipeReader) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        BufReader::new(reader).read_to_string(&mut text).expect("UTF-8");
        text
    })
}

/// If a start fails because of the settings or the command line, the program must end, even if
/// nobody reads the reason.
#[tokio::test]
async fn a_start_that_fails_ends_beside_a_reader_that_stalls_embedded() {
    let unknown = place().variable("LATCHKEY_NOPE", "1");
    for (place, arguments, code) in [
        (unknown, &[][..], 78),
        (place(), &["--set", "nope=1"], 78),
        (place(), &["--nope"], 2),
        (place().set("http.tls.cert", "/nowhere").set("http.tls.key", "/nowhere"), &[], 78),
    ] {
        let (reader, writer) = full_pipe();
        let child = place.command(arguments).stderr(writer).spawn().expect("the program runs");
        let mut daemon = Daemon { child, log: place.path("no log file") };
        assert_eq!(daemon.end(SOON).await.code(), Some(code), "{arguments:?}");
        drop(reader);
    }
}

async fn nobody_reads(place: Place) {
    let (reader, writer) = pipe().expect("a pipe");
    let mut running = start(&place, writer).await;
    for number in 0..REQUESTS {
        let asked = running.anonymous().exists(&format!("{number}@log.example")).await;
        asked.expect(200);
    }
    is_alive(&running).await;
    ends_well(&mut running).await;
    drop(reader);
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing_embedded() {
    nobody_reads(place()).await;
}

#[tokio::test]
async fn nor_does_a_log_for_people_embedded() {
    nobody_reads(place().set("log.format", "pretty")).await;
}

#[tokio::test]
async fn nor_does_a_log_of_everything_embedded() {
    nobody_reads(place().set("log.filter", "trace")).await;
}

#[tokio::test]
async fn a_daemon_starts_and_stops_though_its_log_takes_nothing_embedded() {
    let (reader, writer) = full_pipe();
    let mut running = start(&place(), writer).await;
    is_alive(&running).await;
    ends_well(&mut running).await;
    drop(reader);
}

#[tokio::test]
async fn a_start_that_fails_ends_though_its_log_takes_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let place = Place::new().set("http.listen", &address);
    let (reader, writer) = full_pipe();
    let child = place.command(&[]).stderr(writer).spawn().expect("the program runs");
    let mut daemon = Daemon { child, log: place.path("no log file") };
    assert_eq!(daemon.end(PATIENCE).await.code(), Some(1));
    drop(reader);
}

#[tokio::test]
async fn dropped_lines_are_counted_and_reported_once_when_the_reader_is_back_embedded() {
    let (reader, writer) = pipe().expect("a pipe");
    // Each request writes hundreds of lines.
    let mut running = start(&place().set("log.filter", "trace"), writer).await;
    flood(&running).await;
    is_alive(&running).await;
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let read = thread::spawn(move || {
        for line in BufReader::new(reader).lines() {
            sender.send(line.expect("UTF-8")).expect("the test goes on");
        }
    });
    let mut reported = None;
    while reported.is_none() {
        let line = lines.recv().await.expect("the daemon lives");
        if line.starts_with('{') {
            let line: Value = serde_json::from_str(&line).expect("a whole line");
            reported = line["dropped"].as_f64().filter(|_| line["message"] == GAP);
        }
    }
    // The reader reads again, so the lines of these requests must not be dropped.
    for _ in 0..10 {
        running.client.get("/nowhere").await.expect(404);
    }
    let counted = dropped(&running).await;
    ends_well(&mut running).await;
    read.join().expect("the end of the pipe");
    let mut ending = String::new();
    while let Some(line) = lines.recv().await {
        assert!(!line.contains(GAP), "a second report: {line}");
        ending = line;
    }
    assert_eq!(reported, Some(counted));
    serde_json::from_str::<Value>(&ending).expect("the last line is whole");
}

#[tokio::test]
async fn a_slow_reader_gets_every_line_whole_and_in_order_embedded() {
    let (mut reader, writer) = pipe().expect("a pipe");
    let mut running = start(&place(), writer).await;
    let (mut read, mut asked) = (Vec::new(), Vec::new());
    let mut piece = [0; 100];
    for _ in 0..REQUESTS {
        let answer = running.client.get("/nowhere").await.expect(404);
        asked.push(answer.header("x-request-id").expect("an id").to_owned());
        // The test reads fewer bytes than the daemon has written.
        let count = reader.read(&mut piece).expect("something is there");
        read.extend_from_slice(&piece[..count]);
    }
    assert!(dropped(&running).await == 0.0, "the queue is large enough for this");
    let rest = read_all(reader);
    ends_well(&mut running).await;
    read.extend_from_slice(rest.join().expect("the end of the pipe").as_bytes());
    let text = String::from_utf8(read).expect("UTF-8");
    let records = text.lines().filter(|line| line.starts_with('{'));
    let records = records.map(|line| serde_json::from_str::<Value>(line).expect("a whole line"));
    let logged: Vec<String> = records
        .filter(|line| line["http.response.status_code"] == 404)
        .map(|line| line["request_id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(logged, asked);
    assert!(text.contains("\"message\":\"stopping\""), "the end is there, too");
    assert!(text.contains("development mode:"), "and so is the banner");
}

#[tokio::test]
async fn a_reader_that_leaves_stops_nothing_embedded() {
    for format in ["json", "pretty"] {
        let (reader, writer) = pipe().expect("a pipe");
        let mut running = start(&place().set("log.format", format), writer).await;
        running.client.get("/nowhere").await.expect(404);
        drop(reader);
        for _ in 0..REQUESTS {
            running.client.get("/nowhere").await.expect(404);
        }
        is_alive(&running).await;
        eventually("lines that are counted", PATIENCE, async || {
            (dropped(&running).await >= 300.0).then_some(())
        })
        .await;
        ends_well(&mut running).await;
    }
}
