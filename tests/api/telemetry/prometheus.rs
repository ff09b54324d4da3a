//! A test with Debian's Prometheus, which scrapes a daemon. Every instrument must arrive in
//! Prometheus with its name in the registry.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use latchkey::telemetry::instrument::Kind;
use latchkey::telemetry::registry;
use tempfile::TempDir;

use super::scraped::driven;
use crate::app::Backend;
use crate::client::{Client, encoded};
use crate::poll::eventually;
use crate::servers::free_port;

/// The maximum time for the start of Prometheus and two scrapes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A Prometheus process of the test. The process is killed when the value is dropped.
struct Prometheus {
    child: Child,
    client: Client,
    _directory: TempDir,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: latchkey\n    \
             static_configs: [{{ targets: ['{target}'] }}]\n"
        );
        fs::write(&config, text).expect("written");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .spawn()
            .expect("prometheus runs: scripts/test installs it");
        Self { child, client: Client::new(address), _directory: directory }
    }

    /// Returns the number of series of an expression, or 0 if Prometheus is not ready yet.
    async fn count(&self, expression: &str) -> usize {
        let path = format!("/api/v1/query?query={}", encoded(expression));
        let answer = self.client.get(&path).await;
        if answer.status != 200 {
            return 0;
        }
        answer.json()["data"]["result"].as_array().map_or(0, Vec::len)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_has_every_instrument_of_a_driven_daemon() {
    let (app, _stub) = Box::pin(driven(Backend::Embedded)).await;
    let prometheus = Prometheus::start(app.admin().address());
    eventually("its listener", PATIENCE, async || {
        tokio::net::TcpStream::connect(prometheus.client.address()).await.ok()
    })
    .await;
    for row in registry::ALL {
        let ending = if matches!(row.kind, Kind::Histogram(_)) { "_count" } else { "" };
        let name = format!("{}{ending}", row.prometheus_name());
        eventually(&format!("{name} in Prometheus"), PATIENCE, async || {
            (prometheus.count(&name).await > 0).then_some(())
        })
        .await;
    }
    assert_eq!(prometheus.count("up{job=\"latchkey\"} == 1").await, 1);
    assert_eq!(prometheus.count("{otel_metric_overflow=\"true\"}").await, 0);
    app.finish().await;
}
