//! Tests of a rolling restart of three daemons behind a real load balancer, under load. No request
//! is lost or gets a wrong response.
//!
//! The balancers have the configurations that docs/upgrade.md shows. A browser would repeat a
//! request after a broken connection. The client of these tests never repeats a request, so that a
//! lost request is noticed.

mod balancer;
mod load;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::balancer::Balancer;
use self::load::Load;
use super::{PATIENCE, Place, Running};
use crate::client::Client;
use crate::poll::eventually;
use crate::servers::{TestDatabase, redis_space};

/// The drain delay. It is longer than the time that the balancer needs to notice that a daemon
/// stops. This time is 2 checks of 500 ms and the rest of the current check.
const DRAIN_DELAY: Duration = Duration::from_secs(2);
/// The maximum time from the end of the drain delay to the end of an idle daemon. In this time the
/// daemon finishes its requests, waits for 500 ms without traffic, and stops its pools. The value
/// is far below the daemon's limit of 25 s.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
/// The number of requests that a daemon must serve before the next daemon is restarted.
const SERVED_BEFORE_THE_NEXT: usize = 10;

/// One of the three daemons. It starts again in the same directory and at the same address.
struct Replica {
    place: Place,
    running: Running,
}

impl Replica {
    /// Starts a daemon on its own loopback address, so that no other connection takes its ports
    /// while the daemon is stopped.
    async fn start(address: &str, database: &TestDatabase, redis: &str) -> Self {
        let mut place = Place::new()
            .set("http.listen", &format!("{address}:0"))
            .set("admin.listen", &format!("{address}:0"))
            .set("http.drain_delay", &format!("{}s", DRAIN_DELAY.as_secs()))
            .set("http.trusted_proxies", "127.0.0.1/32")
            .set("database.url", &database.url())
            .set("redis.url", redis)
            .set("secrets.master_key", &"A".repeat(43));
        place.run(&["migrate", "up"]).expect(0);
        let running = place.start().await;
        let place = place
            .set("http.listen", &running.public.to_string())
            .set("admin.listen", &running.admin.to_string());
        Self { place, running }
    }

    fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.running.public, self.running.admin)
    }

    /// Returns the number of client requests to which this process has responded.
    fn served(&self) -> usize {
        self.running.daemon.log().matches("\"message\":\"request answered\"").count()
    }

    async fn serves(&self) {
        eventually("a share of the load", PATIENCE, async || {
            (self.served() >= SERVED_BEFORE_THE_NEXT).then_some(())
        })
        .await;
    }

    /// Sends SIGTERM, checks that the daemon ends in time, and starts it again.
    async fn restart(&mut self) {
        let told = Instant::now();
        self.running.daemon.signal("-TERM");
        let status = self.running.daemon.end(DRAIN_DELAY + ENDS_WITHIN).await;
        let log = self.running.daemon.log();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(told.elapsed() >= DRAIN_DELAY, "it served on for its delay");
        for complaint in ["did not end in time", "connections were cut"] {
            assert!(!log.contains(complaint), "{log}");
        }
        self.running = self.place.start().await;
    }
}

/// Runs the steps of a rollout. `network` is the first three bytes of the daemons' IP addresses.
async fn rolls(network: &str, balancer: fn(&[(SocketAddr, SocketAddr)]) -> Balancer) {
    let database = TestDatabase::create().await;
    let redis = redis_space().await;
    let mut replicas = Vec::new();
    for number in 1..=3 {
        let address = format!("{network}.{number}");
        replicas.push(Replica::start(&address, &database, &redis).await);
    }
    let addresses: Vec<_> = replicas.iter().map(Replica::addresses).collect();
    let mut balancer = balancer(&addresses);
    let client = Client::new(balancer.address);
    eventually("the balancer's first answer", PATIENCE, async || {
        balancer.must_run();
        tokio::net::TcpStream::connect(balancer.address).await.ok()?;
        (client.get("/api/captcha").await.status == 200).then_some(())
    })
    .await;

    let load = Load::start(&client).await;
    for replica in &mut replicas {
        replica.serves().await;
        replica.restart().await;
        // The balancer must send requests to this daemon again before the next daemon stops.
        replica.serves().await;
    }
    let done = load.finish().await;
    balancer.must_run();
    assert!(done.failures.is_empty(), "of {done:?}");
    assert!(done.me > 100 && done.refreshed > 30 && done.logged_in > 3, "{done:?}");
    for replica in replicas {
        replica.running.stop().await;
    }
}

#[test]
fn the_page_shows_the_balancers_that_are_tested() {
    let page = include_str!("../../../docs/upgrade.md");
    for text in [balancer::HAPROXY, balancer::NGINX] {
        assert!(page.contains(text), "docs/upgrade.md has to show:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_behind_haproxy_loses_no_request_on_servers() {
    Box::pin(rolls("127.83.1", Balancer::haproxy)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_behind_nginx_loses_no_request_on_servers() {
    Box::pin(rolls("127.83.2", Balancer::nginx)).await;
}
