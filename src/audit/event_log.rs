//! The line in the log that each event has, once its transaction has lasted: for whoever watches the log (a SIEM), and a
//! second record beside the table.
//!
//! It holds our words and ids of ours alone: `stream` is the account's or the team's, whoever they are. Who, and from where,
//! is in the table, and goes with the person. Refused tries make a row, and so a line, once an hour for each account and
//! source: a flood of them fills no log.

use latchkey_entity::audit_event;
use uuid::Uuid;

use super::{Action, Chain, Event, Outcome};
use crate::telemetry::labels::{AuditAction, AuditOutcome};

/// What its records are logged under: `latchkey::audit=info` in `log.filter` keeps them whatever else is left out.
pub const TARGET: &str = "latchkey::audit";

/// An event as it is told of.
#[derive(Debug)]
pub(super) struct LoggedEvent {
    id: Uuid,
    stream: Uuid,
    seq: i64,
    team: Option<Uuid>,
    action: Action,
    outcome: Outcome,
    actor: &'static str,
    reason: Option<&'static str>,
}

impl LoggedEvent {
    pub(super) fn of(event: &Event<'_>, row: &audit_event::Model) -> Self {
        Self {
            id: row.id,
            stream: row.stream_id,
            seq: row.seq,
            team: event.team,
            action: event.action,
            outcome: event.outcome,
            actor: event.actor.kind(),
            reason: event.detail.reason(),
        }
    }

    /// Counts and logs it.
    pub(super) fn write(&self, chain: &Chain) {
        if let Some(metrics) = chain.metrics() {
            let action = AuditAction::declared(self.action.as_str());
            let outcome = match self.outcome {
                Outcome::Success => AuditOutcome::Success,
                Outcome::Refused => AuditOutcome::Refused,
            };
            metrics.audit_events.one((action, outcome));
        }
        tracing::info!(
            target: TARGET,
            action = self.action.as_str(),
            outcome = self.outcome.as_str(),
            actor = self.actor,
            reason = self.reason,
            event = %self.id,
            stream = %self.stream,
            seq = self.seq,
            team = self.team.map(tracing::field::display),
            "audit event"
        );
    }
}
