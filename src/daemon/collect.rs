//! Connects telemetry to the higher modules. It collects the values of attributes, creates the HTTP
//! client of the exporters, and starts the tasks that send waiting items.

use tokio_util::sync::CancellationToken;

use crate::actor::Root;
use crate::admission::budgets::Budget;
use crate::audit::Action;
use crate::egress::Collector;
use crate::http::router;
use crate::telemetry::labels::TaskName;
use crate::telemetry::{Connect, DeclaredValues, Exports, FLUSH_EVERY};
use crate::{admission, mail};

/// Creates the HTTP client of an exporter of OTLP over HTTP.
pub const CONNECT: Connect = |within| Ok(Box::new(Collector::new(within)?));

/// The values of the attributes that other modules declare.
pub fn declared_values() -> DeclaredValues {
    DeclaredValues {
        routes: router::paths(),
        address_policies: admission::policy_names(),
        budgets: Budget::ALL.iter().map(|budget| budget.name()).collect(),
        mail_templates: mail::Kind::ALL.iter().map(|kind| kind.name()).collect(),
        audit_actions: Action::ALL.iter().map(|action| action.as_str()).collect(),
    }
}

/// Sends spans and log records from now on, until `stop` is cancelled.
pub fn export(exports: &Exports, root: &Root, stop: &CancellationToken) {
    if exports.exports_traces() {
        let exports = exports.clone();
        root.task(TaskName::ExportTraces, stop).every(FLUSH_EVERY, move || {
            let exports = exports.clone();
            async move { exports.flush_traces().await }
        });
    }
    if exports.exports_logs() {
        let exports = exports.clone();
        root.task(TaskName::ExportLogs, stop).every(FLUSH_EVERY, move || {
            let exports = exports.clone();
            async move { exports.flush_logs().await }
        });
    }
}
