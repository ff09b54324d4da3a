//! Tests that the telemetry of a daemon agrees with the registry in its names, types, units and
//! attributes. The telemetry must not contain forbidden data.

pub mod collector;
mod prometheus;
pub mod pushed;
pub mod registry;
mod scraped;

use latchkey::telemetry::labels::PoolName;
use latchkey::telemetry::typed::Words as _;
use std::fs;

/// docs/telemetry.md is generated from the registry. If INSTA_UPDATE is `always`, the test writes
/// the page. The same variable updates the snapshots.
#[test]
fn the_documentation_is_the_registrys() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/telemetry.md");
    let page = latchkey::telemetry::document();
    if told_to_write() {
        fs::write(path, &page).expect("docs/telemetry.md can be written");
    }
    let there = fs::read_to_string(path).unwrap_or_default();
    assert!(there == page, "docs/telemetry.md is out of date: INSTA_UPDATE=always writes it");
}

/// The alert rule for tasks must exclude each pool by its name, because the same metric counts
/// tasks and pools.
#[test]
fn the_rule_of_tasks_leaves_out_every_pool() {
    let rules = include_str!("../../../helm/latchkey/rules/latchkey.yaml");
    let pools = PoolName::ALL.join("|");
    assert!(rules.contains(&format!("latchkey_pool_worker_crashes_total{{pool!~\"{pools}\"}}")));
}

#[expect(clippy::disallowed_methods, reason = "a test's switch, no setting of the daemon")]
fn told_to_write() -> bool {
    std::env::var("INSTA_UPDATE").is_ok_and(|it| it == "always")
}
