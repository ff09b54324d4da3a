//! Tests with a Redis Cluster of three primaries. The users are spread over the three nodes. If one
//! node is down, only the users on this node are affected.

use crate::app::{Backend, TestApp};
use crate::client::Person;
use crate::poll::eventually;
use crate::servers::{PrivateServer, Signal, free_port};

use super::{HEALED, becomes_degraded, becomes_ready, timed};

/// The hash slots of Redis, in three parts. Each node has one part.
const PARTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];
/// The number of users. They are spread evenly over the nodes. With this number, only one of 10^8
/// runs has a node without users.
const PEOPLE: usize = 48;

async fn ask<T: redis::FromRedisValue>(node: &PrivateServer, line: &str) -> T {
    node.redis_command(line).await
}

async fn is_whole(nodes: &[PrivateServer]) {
    eventually("the cluster", HEALED, async || {
        for node in nodes {
            let told: String = ask(node, "CLUSTER INFO").await;
            let knows_all = told.contains("cluster_known_nodes:3");
            (told.contains("cluster_state:ok") && knows_all).then_some(())?;
        }
        Some(())
    })
    .await;
}

/// Starts three nodes that know each other. If one node is down, the other two still work.
pub async fn cluster() -> Vec<PrivateServer> {
    let mut nodes = Vec::new();
    for _ in PARTS {
        let bus = free_port().to_string();
        let words = [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &bus,
            "--cluster-node-timeout",
            "1000",
            "--cluster-require-full-coverage",
            "no",
        ];
        nodes.push((PrivateServer::redis_with(words.map(str::to_owned).into()).await, bus));
    }
    for ((node, _), (first, last)) in nodes.iter().zip(PARTS) {
        let () = ask(node, &format!("CLUSTER ADDSLOTSRANGE {first} {last}")).await;
        for (other, bus) in &nodes {
            let port = other.address().port();
            let () = ask(node, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}")).await;
        }
    }
    let nodes: Vec<PrivateServer> = nodes.into_iter().map(|(node, _)| node).collect();
    is_whole(&nodes).await;
    nodes
}

/// Returns the status of `GET /api/me` for each user.
async fn statuses(people: &[Person]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for person in people {
        let (_, answer) = timed("me", person.me()).await;
        statuses.push(answer.status);
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_spread_over_a_cluster_and_a_lost_node_is_theirs_alone_on_servers() {
    let mut nodes = cluster().await;
    let addresses: Vec<String> = nodes.iter().map(|node| node.address().to_string()).collect();
    // The URL names two nodes. The Redis client finds the third node through them.
    let url = format!("redis+cluster://{}", addresses[..2].join(","));
    let app = TestApp::builder(Backend::Servers).set("redis.url", &url).start().await;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(app.verified(&format!("p{n}@cluster.example")).await);
    }
    for node in &nodes {
        let keys: u64 = ask(node, "DBSIZE").await;
        assert!(keys > 0, "a node has nobody");
    }
    // These requests contain every step that uses several keys at once: a rotation, a one-time
    // token, and the end of all sessions.
    let mut ada = app.verified("ada@cluster.example").await;
    ada.refresh().await.expect(200);
    app.anonymous().forgot(&ada.email).await.expect(200);
    let link = app.mail_to(&ada.email).await;
    app.anonymous().reset(link.token(), "a password of another kind").await.expect(200);
    ada.me().await.expect_problem(401, "invalid-token");

    nodes[2].signal(Signal::Kill);
    let mut all = Vec::new();
    eventually("the cluster without a node", HEALED, async || {
        all = statuses(&people).await;
        all.contains(&200).then_some(())
    })
    .await;
    assert!(all.iter().all(|status| matches!(status, 200 | 503)), "never a wrong answer: {all:?}");
    assert!(all.contains(&503), "a node that is away is missed: {all:?}");
    becomes_degraded(&app, "tokenStore", "cluster-down").await;
    nodes[2].restart().await;
    is_whole(&nodes).await;
    eventually("everybody", HEALED, async || {
        statuses(&people).await.iter().all(|status| *status == 200).then_some(())
    })
    .await;
    becomes_ready(&app).await;
    app.mails_to(&ada.email).await;
    app.finish().await;
}

/// If a daemon treated one node as a complete store, it would serve one third of the users and
/// refuse the other users for ever.
#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_a_cluster_is_not_taken_for_a_whole_token_store_on_servers() {
    let nodes = cluster().await;
    let app = TestApp::builder(Backend::Servers).set("redis.url", &nodes[0].url()).start().await;
    let ready = app.admin().get("/readyz").await.expect(200).json();
    assert_eq!(ready["reasons"]["tokenStore"], "cluster-node", "from the start on");
    becomes_degraded(&app, "tokenStore", "cluster-node").await;
    app.finish().await;
}

/// The daemon checks that the server is a node of a cluster. Without the check, only the scripts
/// that the server already has would run. A login needs other scripts, so it would be refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_alone_is_not_taken_for_a_cluster_on_servers() {
    let server = PrivateServer::redis().await;
    let once = TestApp::builder(Backend::Servers).set("redis.url", &server.url()).start().await;
    becomes_ready(&once).await;
    once.finish().await;

    let url = server.url().replace("redis://", "redis+cluster://");
    let app = TestApp::builder(Backend::Servers).set("redis.url", &url).start().await;
    becomes_degraded(&app, "tokenStore", "not-a-cluster").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_is_what_the_nodes_of_a_cluster_say_on_servers() {
    let nodes = cluster().await;
    let address = nodes[0].address();
    let nowhere = format!("127.0.0.1:{}", free_port());
    for (url, reason) in [
        (format!("redis+cluster://{nowhere}"), "unreachable"),
        (format!("redis+cluster://lk:wrong@{address}"), "authentication"),
        (format!("rediss+cluster://{address}"), "unreachable"),
    ] {
        let app = TestApp::builder(Backend::Servers).set("redis.url", &url).start().await;
        becomes_degraded(&app, "tokenStore", reason).await;
        app.finish().await;
    }

    let url = format!("redis+cluster://{address}");
    let app = TestApp::builder(Backend::Servers).set("redis.url", &url).start().await;
    becomes_ready(&app).await;
    for (node, (first, last)) in nodes.iter().zip(PARTS) {
        let () = ask(node, &format!("CLUSTER DELSLOTSRANGE {first} {last}")).await;
    }
    becomes_degraded(&app, "tokenStore", "cluster-down").await;
    app.finish().await;
}
