//! The log line of each event. It is written after the event's transaction has committed. It is for
//! tools that read the log (a SIEM), and it is a second record besides the database.
//!
//! The line contains only fixed words, ids and the row's number. `stream` is the id of the
//! account's or the team's stream. It is not the id of a user. The user and the client's IP address
//! are only in the database and are deleted with the account. Refused attempts have at most one row
//! an hour for each account and client key, and so at most one line. Therefore refused attempts
//! cannot fill the log.

use latchkey_entity::audit_event;
use uuid::Uuid;

use super::{Action, Chain, Event, Outcome};
use crate::telemetry::labels::{AuditAction, AuditOutcome};

/// The log target of the lines. If `log.filter` contains `latchkey::audit=info`, these lines are
/// logged even if all other lines are filtered out.
pub const TARGET: &str = "latchkey::audit";

/// The values of an event that are logged.
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

    /// The number of the event in its stream.
    pub(super) const fn seq(&self) -> i64 {
        self.seq
    }

    /// Counts and logs the event.
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
