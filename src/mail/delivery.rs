//! The work of the [`Mailer`]. It delivers a row of the outbox: it claims the row, sends the mail,
//! and marks the row.
//!
//! The cause of a failure decides what happens. A failure that stops every mail (no connection, no
//! login) pauses the queue and does not count as an attempt of any row. A failure of a single mail
//! delays this mail, or makes the mailer give this mail up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use sea_orm::DbErr;
use tokio::time::Instant;

use crate::clock::{Clock, UnixMillis, millis};
use crate::database::Db;
use crate::mail::letter::{self, BadSender, Sender};
use crate::mail::prepare::{Known, Prepared};
use crate::mail::queue::{self, Claim, Marked};
use crate::mail::transport::{Failure, Transport};
use crate::mail::{Kind, LinkTtls, undo};
use crate::problem::Unavailable;
use crate::secret::{self, Secret};
use crate::store::{PutToken, Store};
use crate::telemetry::labels::MailOutcome;
use crate::telemetry::trace::{self, SpanAttributes};

/// How often a periodic task sweeps the outbox. A new mail causes a sweep at once.
pub const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How long the queue pauses before it tries a failing server again. It is shorter than
/// [`SWEEP_EVERY`], so that a periodic sweep rarely meets a pause that is about to end. While no
/// mail is written, the server is tried every [`SWEEP_EVERY`].
const PAUSE: Duration = Duration::from_secs(2);
/// How long a sweep may take before it ends and reports its results. The metrics are scraped one or
/// two times in this time, so they show the progress even in a backlog of hours.
const ROUND: Duration = Duration::from_secs(30);
/// The first back-off of a row. Each further back-off is twice as long, up to [`BACK_OFF_MAX`].
const BACK_OFF: Duration = Duration::from_mins(1);
/// The maximum back-off.
const BACK_OFF_MAX: Duration = Duration::from_hours(6);
/// If a mail of this age is refused, it is given up, but not before [`TRIES_MIN`] attempts, because
/// latchkey was perhaps down for most of the time.
const GIVE_UP: Duration = Duration::from_hours(24);
/// The minimum number of attempts of every row. The back-offs between them, 1 + 2 + 4 + 8 minutes,
/// are longer than usual greylisting.
const TRIES_MIN: i32 = 5;
/// The maximum number of attempts to render a row.
const RENDER_TRIES_MAX: i32 = 5;
/// The maximum number of attempts to mark a mail as sent. Without the mark, the mail would be sent
/// twice.
const MARK_TRIES_MAX: u32 = 5;

/// The dependencies of a [`Mailer`].
#[derive(Debug)]
pub struct Setup {
    pub db: Db,
    pub store: Store,
    pub transport: Transport,
    pub clock: Clock,
    /// The key `"mail-token"`, derived from the master key.
    pub token_key: Secret<[u8; 32]>,
    /// The base of links, without a trailing slash.
    pub public_url: String,
    pub link_ttls: LinkTtls,
    /// The setting `mail.from`.
    pub from: String,
}

/// Delivers the mails that are due. All workers of a process share one mailer, with its pause and
/// its connections.
#[derive(Debug)]
pub struct Mailer {
    pub(super) setup: Setup,
    pub(super) sender: Sender,
    /// The host of `public_url`, which is the right side of a Message-ID.
    pub(super) host: String,
    /// The name of the service in mails.
    pub(super) service: String,
    paused_at: Mutex<Option<UnixMillis>>,
    stopping: AtomicBool,
}

/// One attempt to deliver a mail.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub kind: Kind,
    pub outcome: MailOutcome,
    /// The time from the claim of the row to its mark.
    pub took: Duration,
}

/// The results of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// All attempts, in order.
    pub deliveries: Vec<Delivery>,
    /// When to sweep again at the latest: when the next row is due, or when the pause ends. `None`
    /// if no row waits.
    pub next_due: Option<UnixMillis>,
}

impl Swept {
    /// How many attempts had this outcome.
    pub fn count(&self, outcome: MailOutcome) -> usize {
        self.deliveries.iter().filter(|delivery| delivery.outcome == outcome).count()
    }
}

impl Mailer {
    /// Creates a mailer. Fails if `from` is not an address.
    pub fn new(mut setup: Setup) -> Result<Self, BadSender> {
        let sender = Sender::parse(&setup.from)?;
        let (base, host) = letter::base_of_links(&setup.public_url);
        setup.public_url = base;
        let service = sender.name().unwrap_or(&host).to_owned();
        let (paused_at, stopping) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { setup, sender, host, service, paused_at, stopping })
    }

    /// Claims and delivers rows until no row is due, no mail can be sent, 30 seconds have passed,
    /// or [`Mailer::stop`] is called. Any number of workers and replicas may sweep at once. A sweep
    /// may be dropped at any moment: a claimed row is due again when its lease ends.
    ///
    /// A failure of the database ends the sweep. During a failure of the token store, mails without
    /// a token are still sent. The sweep returns either failure as its error, unless it has
    /// delivered a mail before. In that case the sweep only logs the failure. If the failure
    /// persists, the next sweep returns it.
    pub async fn sweep(&self) -> Result<Swept, Unavailable> {
        let mut swept = Swept::default();
        let done = self.sweep_into(&mut swept).await;
        match done {
            Err(unavailable) if swept.deliveries.is_empty() => Err(unavailable),
            Err(unavailable) => {
                tracing::warn!(
                    error = %unavailable,
                    "the delivery of mails stopped before the queue was empty"
                );
                swept.next_due = Some(self.now() + millis(PAUSE));
                Ok(swept)
            }
            Ok(()) => Ok(swept),
        }
    }

    pub fn transport(&self) -> &Transport {
        &self.setup.transport
    }

    /// Ends every sweep after its current mail. Later sweeps deliver nothing.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    async fn sweep_into(&self, swept: &mut Swept) -> Result<(), Unavailable> {
        let db = &self.setup.db;
        let mut kinds = Kind::ALL.to_vec();
        let mut store_down = None;
        let began = Instant::now();
        let may_go_on = || self.may_go_on() && began.elapsed() < ROUND;
        while may_go_on() {
            let due = queue::due(db, &kinds, self.now()).await?;
            if due.is_empty() {
                break;
            }
            for row in due {
                if !may_go_on() {
                    break;
                }
                let Some(claim) = queue::claim(db, &row, self.now()).await? else { continue };
                let started = Instant::now();
                match self.deliver(&claim).await? {
                    Ok(outcome) => {
                        let took = started.elapsed();
                        trace_delivery(&claim, outcome, took);
                        swept.deliveries.push(Delivery { kind: claim.kind, outcome, took });
                    }
                    Err(down) => {
                        kinds.retain(|kind| kind.token().is_none());
                        store_down = Some(down);
                        break;
                    }
                }
            }
        }
        swept.next_due = match self.paused_until() {
            Some(until) => Some(until),
            None => queue::next_due(db, self.now()).await?,
        };
        store_down.map_or(Ok(()), Err)
    }

    /// Delivers one row. If the token store fails, the inner result is its error, and the row stays
    /// unchanged.
    async fn deliver(&self, claim: &Claim) -> Result<Result<MailOutcome, Unavailable>, DbErr> {
        let db = &self.setup.db;
        let (letter, known) = match self.prepare(claim).await? {
            Prepared::Ready(letter, known) => (letter, known),
            Prepared::Unwanted => return self.unwanted(claim).await.map(Ok),
            Prepared::Poison(why) => return self.poison(claim, why).await.map(Ok),
        };
        match known {
            Known::Already => {}
            Known::InStore(token) => match self.setup.store.put_token(&token, self.now()).await {
                Ok(PutToken::Stored) => {}
                Ok(PutToken::Superseded) => return self.unwanted(claim).await.map(Ok),
                Err(down) => {
                    claim.release(db, claim.row.due_at).await?;
                    return Ok(Err(down));
                }
            },
            Known::WithRow { kind, id, digest, until } => {
                undo::put(db, (kind, id), digest, until).await?;
            }
        }
        let outcome = match self.setup.transport.deliver(&letter).await {
            Ok(()) => {
                self.resume();
                let marked = self.mark_sent(claim).await?;
                report(claim, MailOutcome::Sent, marked, "");
                MailOutcome::Sent
            }
            Err(Failure::NoSession(why)) => {
                self.pause(&why);
                claim.release(db, claim.row.due_at).await?;
                MailOutcome::Released
            }
            Err(Failure::Broken(why)) => self.broken(claim, &why).await?,
            Err(Failure::Transient(why)) => {
                self.resume();
                self.refused(claim, &why).await?
            }
            Err(Failure::Permanent(why)) => {
                self.resume();
                report(claim, MailOutcome::Dead, claim.dead(db, &why).await?, &why);
                MailOutcome::Dead
            }
        };
        Ok(Ok(outcome))
    }

    async fn unwanted(&self, claim: &Claim) -> Result<MailOutcome, DbErr> {
        report(claim, MailOutcome::Superseded, claim.superseded(&self.setup.db).await?, "");
        Ok(MailOutcome::Superseded)
    }

    async fn poison(&self, claim: &Claim, why: &str) -> Result<MailOutcome, DbErr> {
        let last = claim.row.attempts + 1 >= RENDER_TRIES_MAX;
        self.count_try(claim, why, last, None).await
    }

    /// Handles a mail that the server refused for now.
    async fn refused(&self, claim: &Claim, why: &str) -> Result<MailOutcome, DbErr> {
        let end = claim.row.created_at + millis(GIVE_UP);
        let last = self.now() >= end && claim.row.attempts + 1 >= TRIES_MIN;
        self.count_try(claim, why, last, Some(end)).await
    }

    /// Handles a connection that broke during this mail. The cause is either the server or this
    /// mail. The failure does not count as an attempt, but other mails are sent first, so that a
    /// mail that breaks every connection does not stop the other mails. If the mail is older than
    /// [`GIVE_UP`], the failure counts as a refusal, and the mail is given up in the end.
    async fn broken(&self, claim: &Claim, why: &str) -> Result<MailOutcome, DbErr> {
        self.pause(why);
        let now = self.now();
        if now >= claim.row.created_at + millis(GIVE_UP) {
            return self.refused(claim, why).await;
        }
        claim.release(&self.setup.db, now + millis(PAUSE)).await?;
        Ok(MailOutcome::Released)
    }

    /// Counts an attempt. Then the row backs off until `end` at the latest, or the mail is given
    /// up.
    async fn count_try(
        &self,
        claim: &Claim,
        why: &str,
        last: bool,
        end: Option<UnixMillis>,
    ) -> Result<MailOutcome, DbErr> {
        let db = &self.setup.db;
        if last {
            report(claim, MailOutcome::Dead, claim.dead(db, why).await?, why);
            return Ok(MailOutcome::Dead);
        }
        let now = self.now();
        let due_at = now + millis(back_off(claim.row.attempts));
        let due_at = end.filter(|end| *end > now).map_or(due_at, |end| due_at.min(end));
        report(claim, MailOutcome::Retry, claim.retry(db, due_at, why).await?, why);
        Ok(MailOutcome::Retry)
    }

    /// Marks a mail that was sent. It tries several times, because a short failure of the database
    /// must not cause a second mail.
    async fn mark_sent(&self, claim: &Claim) -> Result<Marked, DbErr> {
        for tried in 1..MARK_TRIES_MAX {
            if let Ok(marked) = claim.sent(&self.setup.db, self.now()).await {
                return Ok(marked);
            }
            tokio::time::sleep(Duration::from_millis(100) * 2_u32.pow(tried)).await;
        }
        claim.sent(&self.setup.db, self.now()).await
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.setup.clock.now()
    }

    fn may_go_on(&self) -> bool {
        !self.stopping.load(Ordering::SeqCst) && self.paused_until().is_none()
    }

    /// The end of the pause. If the clock was set back, the pause is over.
    fn paused_until(&self) -> Option<UnixMillis> {
        let paused_at = (*self.paused_at.lock().unwrap_or_else(PoisonError::into_inner))?;
        let rests = (0..millis(PAUSE)).contains(&(self.now() - paused_at));
        rests.then_some(paused_at + millis(PAUSE))
    }

    fn pause(&self, why: &str) {
        let before =
            self.paused_at.lock().unwrap_or_else(PoisonError::into_inner).replace(self.now());
        if before.is_none() {
            let (pause_s, probe_s) = (PAUSE.as_secs(), SWEEP_EVERY.as_secs());
            tracing::warn!(error = why, pause_s, probe_s, "the mail queue is paused");
        } else {
            tracing::debug!(error = why, "the mail queue stays paused");
        }
    }

    fn resume(&self) {
        if self.paused_at.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!("the mail queue continues");
        }
    }
}

/// The back-off of a row after `tries_before` counted attempts and one more. The back-off doubles
/// each time up to [`BACK_OFF_MAX`]. The result is then changed at random, by up to a fifth.
pub(super) fn back_off(tries_before: i32) -> Duration {
    let doubled = 2_u32.saturating_pow(u32::try_from(tries_before).unwrap_or(0).min(16));
    let rest = BACK_OFF.saturating_mul(doubled).min(BACK_OFF_MAX);
    let jitter_percent = 80 + u32::from(u16::from_le_bytes(secret::random_bytes())) % 41;
    rest * jitter_percent / 100
}

/// Records a delivery as its own trace, which links to the request that caused the mail.
fn trace_delivery(claim: &Claim, outcome: MailOutcome, took: Duration) {
    trace::linked(&claim.row.traceparent, || {
        let attributes = vec![
            KeyValue::new("latchkey.mail.template", claim.kind.name()),
            KeyValue::new("latchkey.mail.outcome", outcome.name()),
        ];
        let failed = matches!(outcome, MailOutcome::Retry | MailOutcome::Dead);
        SpanAttributes { name: "deliver mail".into(), took, attributes, failed }
    });
}

/// Writes one log line about the outcome of an attempt.
fn report(claim: &Claim, outcome: MailOutcome, marked: Marked, error: &str) {
    let (mail, kind, outcome) = (claim.row.id, claim.kind.name(), outcome.name());
    let (tries, traceparent) = (claim.row.attempts, claim.row.traceparent.as_str());
    if marked == Marked::Lost {
        tracing::info!(
            %mail,
            kind,
            outcome,
            traceparent,
            "the mail was replaced, deleted or claimed by another daemon while it was being sent"
        );
    } else if error.is_empty() {
        tracing::info!(%mail, kind, outcome, tries, traceparent, "the mail left the queue");
    } else {
        tracing::warn!(
            %mail,
            kind,
            outcome,
            tries,
            traceparent,
            error,
            "the mail was not delivered"
        );
    }
}
