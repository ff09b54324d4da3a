//! A test of files that have reached their size limit (`ulimit -f`). The daemon continues, refuses
//! what it cannot write, and works again when the limit is removed.

use std::process::Command;

use super::{PATIENCE, Place, Running};
use crate::poll::eventually;

/// Sets the file size limit of a running process. `bytes` is a number or `unlimited`.
fn limit(running: &Running, bytes: &str) {
    let id = running.daemon.child.id().to_string();
    let set = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:")]).status();
    assert!(set.is_ok_and(|status| status.success()), "util-linux is there");
}

async fn becomes(running: &Running, reason: Option<&str>) {
    eventually(&format!("readiness: {reason:?}"), PATIENCE, async || {
        let ready = running.admin().get("/readyz").await.expect(200).json();
        (ready["reasons"]["database"].as_str() == reason).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_limit_of_a_file_s_size_is_a_full_disk_and_no_end_embedded() {
    let mut place = Place::new();
    let running = place.start().await;
    let nobody = running.anonymous();
    // The log is also a file, and it is already longer than the limit.
    limit(&running, "64");
    becomes(&running, Some("full-disk")).await;
    let refused = nobody.register("ada@limit.example", "nine lives of a cat", "Ada").await;
    refused.expect_problem(503, "dependency-unavailable");
    running.admin().get("/livez").await.expect(200);

    limit(&running, "unlimited");
    becomes(&running, None).await;
    nobody.register("bob@limit.example", "nine lives of a cat", "Bob").await.expect(200);
    running.stop().await;
}
