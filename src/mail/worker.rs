//! The mailer pool's worker: sweeps the outbox when it is nudged or when it is time.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::{Mailer, forget};
use crate::actor::WorkerError;
use crate::clock::{Clock, millis};
use crate::database::Db;
use crate::telemetry::Metrics;

/// Rows that are done with are kept this long for operators to look at.
const KEPT_FOR: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// What the mailer pool does.
#[derive(Clone, Copy, Debug)]
pub enum Message {
    /// Delivers what is due. May be lost: it also comes by itself.
    Sweep,
    /// Forgets rows that were done with long ago.
    Forget,
}

/// The worker's needs.
#[derive(Clone, Debug)]
pub struct Worker {
    /// One for all workers: they share connections and the pause.
    pub mailer: Arc<Mailer>,
    /// Where the rows are.
    pub db: Db,
    /// The present.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl Worker {
    /// A round; whether more is due. What it did is counted after each, so that a long backlog can
    /// be watched.
    async fn round(&self) -> bool {
        match self.mailer.sweep().await {
            Ok(swept) => {
                let is_due = swept.next_due.is_some_and(|due| due <= self.clock.now());
                let goes_on = is_due && !swept.deliveries.is_empty();
                for delivery in swept.deliveries {
                    let attributes = [
                        KeyValue::new("template", delivery.kind.name()),
                        KeyValue::new("outcome", delivery.outcome.name()),
                    ];
                    self.metrics.mail_deliveries.add(1, &attributes);
                    let took = delivery.took.as_secs_f64();
                    self.metrics.mail_delivery_duration.record(took, &attributes);
                }
                goes_on
            }
            Err(error) => {
                tracing::warn!(error = %error, "mail cannot leave, it stays in the outbox");
                false
            }
        }
    }
}

impl crate::actor::Worker for Worker {
    type Message = Message;

    async fn handle(&mut self, message: Message) -> Result<(), WorkerError> {
        match message {
            Message::Sweep => while self.round().await {},
            Message::Forget => {
                let before = self.clock.now() - millis(KEPT_FOR);
                if let Err(error) = forget(self.db.writer(), before).await {
                    tracing::warn!(error = %error, "old mail rows not swept");
                }
            }
        }
        Ok(())
    }
}
