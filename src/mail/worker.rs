//! [`Deliveries`], the handle of the mail workers, and [`MailWorker`], which delivers the mails
//! that are due.

use std::sync::Arc;

use super::{Mailer, forget};
use crate::actor::{Pool, Worker, WorkerError};
use crate::clock::{Clock, millis};
use crate::database::Db;
use crate::telemetry::Metrics;
use crate::telemetry::labels::Template;

/// How long rows that are not pending any more are kept, so that operators can read them.
const KEPT_FOR: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// The commands of the mail workers.
#[derive(Clone, Copy, Debug)]
pub enum MailCommand {
    /// See [`Deliveries::wake`].
    Deliver,
    /// See [`Deliveries::delete_old`].
    DeleteOld,
}

/// The handle of the mail workers. No call waits. A lost call does no harm, because the outbox
/// still contains the mails that are due.
#[derive(Clone, Debug)]
pub struct Deliveries(Pool<MailCommand>);

impl Deliveries {
    pub fn new(pool: Pool<MailCommand>) -> Self {
        Self(pool)
    }

    /// The pool, for its drain and its metrics.
    pub fn pool(&self) -> &Pool<MailCommand> {
        &self.0
    }

    /// Delivers the mails that are due now. A periodic task does the same every few seconds.
    pub fn wake(&self) {
        let _ = self.0.nudge(MailCommand::Deliver);
    }

    /// Deletes old rows of mails that are not pending any more.
    pub fn delete_old(&self) {
        let _ = self.0.nudge(MailCommand::DeleteOld);
    }
}

/// The dependencies of a mail worker.
#[derive(Clone, Debug)]
pub struct MailWorker {
    /// One mailer for all workers: they share its connections and its pause.
    pub mailer: Arc<Mailer>,
    pub db: Db,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
}

impl MailWorker {
    /// Runs one sweep. Returns whether more mails are due. The results are counted after each
    /// sweep, so that the metrics show the progress in a long backlog.
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
                tracing::warn!(error = %error, "mails cannot be sent now and stay in the outbox");
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
                if let Err(error) = forget(&self.db, before).await {
                    tracing::warn!(
                        error = %error,
                        "cannot delete old mails from the outbox, the next run tries again"
                    );
                }
            }
        }
        Ok(())
    }
}
