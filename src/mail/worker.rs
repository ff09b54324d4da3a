//! [`Deliveries`], the handle of the mail workers, and what a worker does: it delivers the mails that are due.

use std::sync::Arc;

use super::{Mailer, forget};
use crate::actor::{Pool, Worker, WorkerError};
use crate::clock::{Clock, millis};
use crate::database::Db;
use crate::telemetry::Metrics;
use crate::telemetry::labels::Template;

/// Rows that are done with are kept this long for operators to look at.
const KEPT_FOR: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// What the mail workers do.
#[derive(Clone, Copy, Debug)]
pub enum MailCommand {
    /// [`Deliveries::wake`].
    Deliver,
    /// [`Deliveries::delete_old`].
    DeleteOld,
}

/// The handle of the mail workers. No call waits, and a lost one does no harm: the outbox holds what is due.
#[derive(Clone, Debug)]
pub struct Deliveries(Pool<MailCommand>);

impl Deliveries {
    pub fn new(pool: Pool<MailCommand>) -> Self {
        Self(pool)
    }

    /// The pool, to be drained and measured.
    pub fn pool(&self) -> &Pool<MailCommand> {
        &self.0
    }

    /// Delivers what is due now; a tick does the same every few seconds.
    pub fn wake(&self) {
        let _ = self.0.nudge(MailCommand::Deliver);
    }

    /// Deletes rows of mails that were sent or given up long ago.
    pub fn delete_old(&self) {
        let _ = self.0.nudge(MailCommand::DeleteOld);
    }
}

/// The dependencies of a mail worker.
#[derive(Clone, Debug)]
pub struct MailWorker {
    /// One for all workers: they share connections and the pause.
    pub mailer: Arc<Mailer>,
    /// Where the rows are.
    pub db: Db,
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl MailWorker {
    /// A round; whether more is due. It counts after each what it did, so that a long backlog can be
    /// watched.
    async fn round(&self) -> bool {
        match self.mailer.sweep().await {
            Ok(swept) => {
                let is_due = swept.next_due.is_some_and(|due| due <= self.clock.now());
                let goes_on = is_due && !swept.deliveries.is_empty();
                for delivery in swept.deliveries {
                    let template = Template::declared(delivery.kind.name());
                    let series = (template, delivery.outcome);
                    self.metrics.mail_deliveries.one(series);
                    self.metrics.mail_delivery_duration.record(delivery.took, series);
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

impl Worker for MailWorker {
    type Message = MailCommand;

    async fn handle(&mut self, command: MailCommand) -> Result<(), WorkerError> {
        match command {
            MailCommand::Deliver => while self.round().await {},
            MailCommand::DeleteOld => {
                let before = self.clock.now() - millis(KEPT_FOR);
                if let Err(error) = forget(self.db.writer(), before).await {
                    tracing::warn!(error = %error, "old mail rows not swept");
                }
            }
        }
        Ok(())
    }
}
