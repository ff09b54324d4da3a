//! Tests of tasks that crash. Each of them is restarted. If a task crashes again and again, the
//! process ends. `scripts/test` builds the daemon for these tests with the feature `failpoints`.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey::telemetry::labels::TaskName;
use latchkey::telemetry::typed::Words as _;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Daemon, PATIENCE, Place};
use crate::poll::eventually;
use crate::telemetry::collector::Collector;
use crate::telemetry::registry::{hold, series, sum};

/// The maximum time until the process ends. If a task crashes at every step, the process ends after
/// 15.5 s.
const GIVES_UP_WITHIN: Duration = Duration::from_mins(1);

/// Returns the log lines with this message.
fn lines(daemon: &Daemon, message: &str) -> Vec<Value> {
    let log = daemon.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}

/// Returns the tasks that are named in the log lines with this message.
fn named(daemon: &Daemon, message: &str) -> BTreeSet<String> {
    let lines = lines(daemon, message);
    lines.iter().map(|line| line["task"].as_str().expect("a task").to_owned()).collect()
}

/// Returns the place of a daemon in which every task has work: the daemon serves TLS and exports
/// telemetry to a collector.
fn busy(collector: &Collector) -> Place {
    let place = Place::new();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (cert_path, key_path) = (place.path("cert.pem"), place.path("key.pem"));
    std::fs::write(&cert_path, cert.pem()).expect("written");
    std::fs::write(&key_path, signing_key.serialize_pem()).expect("written");
    place
        .set("http.tls.cert", &cert_path.display().to_string())
        .set("http.tls.key", &key_path.display().to_string())
        .set("telemetry.logs", "true")
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "200")
}

#[tokio::test]
async fn every_task_that_crashes_is_logged_counted_and_works_again() {
    let collector = Collector::start().await;
    let faults: Vec<String> =
        TaskName::ALL.iter().map(|task| format!("task.{task}=1*panic")).collect();
    let mut place = busy(&collector).variable("FAILPOINTS", &faults.join(";"));
    let running = place.start().await;
    let all: BTreeSet<String> = TaskName::ALL.iter().map(|task| (*task).to_owned()).collect();
    eventually("the work of each task after its crash", PATIENCE, async || {
        // One step of an accept loop accepts one connection.
        for address in [running.public, running.admin] {
            let _accepted = TcpStream::connect(address).await;
        }
        (named(&running.daemon, "a background task works again") == all).then_some(())
    })
    .await;

    let crashed = lines(&running.daemon, "a background task crashed");
    assert_eq!(named(&running.daemon, "a background task crashed"), all);
    assert_eq!(crashed.len(), all.len(), "each once");
    for line in crashed {
        let task = line["task"].as_str().expect("a task");
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["reason"], format!("failpoint task.{task} panic"));
    }
    let text = running.admin().get("/metrics").await.expect(200).text();
    hold(&text);
    let overdue: BTreeSet<String> = series(&text)
        .into_iter()
        .filter(|it| it.name == "latchkey_task_overdue_seconds")
        .map(|it| it.labels["task"].clone())
        .collect();
    for task in TaskName::ALL {
        let count = sum(&text, "latchkey_pool_worker_crashes_total", &[("pool", task)]);
        assert!((count - 1.0).abs() < f64::EPSILON, "{task}: {count}");
        assert_eq!(overdue.contains(*task), !task.starts_with("accept_"), "{task}");
        let late = sum(&text, "latchkey_task_overdue_seconds", &[("task", task)]);
        assert!(late < 1.0, "{task} is overdue by {late} s");
    }
    eventually("metrics at the collector", PATIENCE, async || {
        (!collector.metrics().is_empty() && !collector.logs().is_empty()).then_some(())
    })
    .await;
    running.stop().await;
}

/// Sends a request on a connection and leaves the connection open. Returns the beginning of the
/// response.
async fn asks(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /api/captcha HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut response = Vec::new();
    while !response.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut response).await.expect("a response"), 0, "it is closed");
    }
    String::from_utf8_lossy(&response[..12]).into_owned()
}

#[tokio::test]
async fn a_crash_of_the_accept_loop_costs_neither_listener_nor_connections() {
    let mut place = Place::new().variable("FAILPOINTS", "task.accept_public=1*off->1*panic");
    let running = place.start().await;
    let mut before = TcpStream::connect(running.public).await.expect("connected");
    assert_eq!(asks(&mut before).await, "HTTP/1.1 200");
    running.daemon.says("a background task crashed").await;
    let mut after = TcpStream::connect(running.public).await.expect("in the kernel's queue");
    assert_eq!(asks(&mut before).await, "HTTP/1.1 200");
    assert_eq!(asks(&mut after).await, "HTTP/1.1 200");
    running.daemon.says("a background task works again").await;
    running.stop().await;
}

/// Runs a daemon in which this task crashes at every step. The daemon must end with exit code 1.
async fn ends_with_1(task: &str) {
    let mut place = Place::new().variable("FAILPOINTS", &format!("task.{task}=panic"));
    let mut daemon = place.spawn();
    let status = daemon.end(GIVES_UP_WITHIN).await;
    let log = daemon.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert_eq!(lines(&daemon, "a background task crashed").len(), 6, "{log}");
    let gave_up = lines(&daemon, "a background task crashes again and again, stopping the daemon");
    assert!(gave_up.len() == 1 && gave_up[0]["task"] == task, "{log}");
    assert_eq!(lines(&daemon, "stopping").len(), 1, "it drains: {log}");
}

#[tokio::test]
async fn a_task_that_keeps_crashing_ends_the_process_with_1_after_a_drain() {
    tokio::join!(ends_with_1("key_rotation"), ends_with_1("accept_public"));
}

#[tokio::test]
async fn a_task_that_keeps_crashing_also_ends_a_daemon_that_waits_for_its_database() {
    let mut place = Place::new()
        .set("database.url", "postgres://latchkey@127.0.0.1:1/latchkey")
        .set("secrets.master_key", &STANDARD.encode([7; 32]))
        .variable("FAILPOINTS", "task.accept_admin=panic");
    let mut daemon = place.spawn();
    let status = daemon.end(GIVES_UP_WITHIN).await;
    assert_eq!(status.code(), Some(1), "{}", daemon.log());
    assert!(
        daemon
            .log()
            .contains("a background task crashes again and again: see the log for its name")
    );
}
