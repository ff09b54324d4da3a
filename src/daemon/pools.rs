//! The worker pools: the number of workers, the length of each queue, and the reasons.

use std::sync::Arc;
use std::time::Duration;

use crate::account::{AccountWorker, Accounts};
use crate::actor::{Limits, Pool, Root, SpawnError, Worker};
use crate::admission::budgets::Local;
use crate::admission::{self, Limiter};
use crate::audit::Chain;
use crate::captcha::{self, CaptchaWorker, Captchas, Verifier};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Db;
use crate::mail::{Deliveries, MailWorker, Mailer};
use crate::password::{HashFaults, PasswordWorker, Passwords, ReplaceHash, Setup};
use crate::session::{Issuer, SessionWorker, Sessions};
use crate::store::{KeyBudget, Store};
use crate::telemetry::Metrics;
use crate::telemetry::labels::PoolName;
use crate::token::KeyRing;

pub struct Handles {
    pub accounts: Accounts,
    pub sessions: Sessions,
    pub passwords: Passwords,
    pub captchas: Captchas,
    pub deliveries: Deliveries,
    pub limits: Pool<admission::AdmissionCommand>,
}

pub struct Dependencies<'a> {
    pub config: &'a Config,
    pub db: &'a Db,
    pub store: &'a Store,
    pub keys: &'a Arc<KeyRing>,
    pub audit: &'a Chain,
    pub clock: &'a Clock,
    pub metrics: &'a Arc<Metrics>,
    pub mailer: &'a Arc<Mailer>,
    /// The limits in this daemon's memory.
    pub limiter: &'a Arc<Limiter>,
    /// The budgets during an outage of the token store.
    pub local: &'a Arc<Local>,
    pub hashing: &'a Setup,
    /// How long one hash takes on this machine.
    pub hash_time: Duration,
    pub captcha: &'a Arc<Verifier>,
}

impl Dependencies<'_> {
    async fn pool<W: Worker>(
        &self,
        root: &Root,
        name: PoolName,
        limits: Limits,
        build: impl FnMut() -> W + Send + Sync + 'static,
    ) -> Result<Pool<W::Message>, SpawnError> {
        Pool::spawn(name, limits, root.cell(), self.metrics.clone(), build).await
    }

    /// Starts every pool.
    pub async fn open(&self, root: &Root) -> Result<Handles, SpawnError> {
        let limits = |workers, queue, deadline_s| Limits {
            workers,
            queue,
            deadline: Duration::from_secs(deadline_s),
            // A statement ends by itself after 2 s, and a call to Redis after half a second. So
            // this limit has an effect only if a server does not respond at all.
            give_up: Some(Duration::from_secs(deadline_s + 1)),
        };
        let password = &self.config.password;
        let hashing = self.hashing.clone();
        let metrics = self.metrics.clone();
        let session_worker = SessionWorker {
            store: self.store.clone(),
            db: self.db.clone(),
            clock: self.clock.clone(),
            chain: self.audit.clone(),
            sessions: self.config.sessions,
        };
        let account_worker = AccountWorker {
            db: self.db.clone(),
            store: self.store.clone(),
            chain: self.audit.clone(),
            clock: self.clock.clone(),
        };
        // SQLite has one writer, so a second worker would only wait for the first.
        let account_workers = if self.db.is_postgres() { 8 } else { 1 };
        let captcha_worker = CaptchaWorker {
            verifier: self.captcha.clone(),
            store: self.store.clone(),
            spent: Arc::new(KeyBudget::new(
                self.config.rate_limit.keys_max,
                self.config.rate_limit.replicas,
                captcha::SPENT_TTL,
            )),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        };
        let mail_worker = MailWorker {
            mailer: self.mailer.clone(),
            db: self.db.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        };
        let limits_worker = admission::Worker {
            store: self.store.clone(),
            limiter: self.limiter.clone(),
            local: self.local.clone(),
            clock: self.clock.clone(),
        };
        let queue = password_queue(self.hash_time, password.workers);
        let accounts = self
            .pool(
                root,
                PoolName::Registration,
                limits(account_workers, 32 * account_workers, 5),
                move || account_worker.clone(),
            )
            .await?;
        let accounts = Accounts::new(accounts);
        let replacing = accounts.clone();
        let replace_hash: ReplaceHash =
            Arc::new(move |user_id, old, new| replacing.replace_hash(user_id, old, new));
        let faults = Arc::new(HashFaults::new(self.clock.clone(), metrics.clone()));
        let password_worker = move || {
            let (faults, metrics) = (faults.clone(), metrics.clone());
            PasswordWorker::new(hashing.clone(), faults, metrics, replace_hash.clone())
        };
        let password_limits = Limits { give_up: None, ..limits(password.workers, queue, 2) };
        let passwords =
            self.pool(root, PoolName::Password, password_limits, password_worker).await?;
        let sessions = self
            .pool(root, PoolName::Session, limits(16, 256, 3), move || session_worker.clone())
            .await?;
        let captchas = self
            .pool(root, PoolName::Captcha, limits(8, 32, 3), move || captcha_worker.clone())
            .await?;
        // A delivery continues until no mail is due, so the deadline limits only the time until a
        // worker is free. A worker that hangs is given up after 10 minutes. The mails that it had
        // claimed are due again when their lease ends.
        let mail_limits = Limits { give_up: Some(Duration::from_mins(10)), ..limits(2, 2, 60) };
        let deliveries =
            self.pool(root, PoolName::Mailer, mail_limits, move || mail_worker.clone()).await?;
        let shared_limits = self
            .pool(root, PoolName::Limits, limits(2, 256, 3), move || limits_worker.clone())
            .await?;
        let deliveries = Deliveries::new(deliveries);
        Ok(Handles {
            accounts,
            sessions: Sessions::new(sessions, self.issuer(deliveries.clone())),
            passwords: Passwords::new(passwords),
            captchas: Captchas::new(captchas, self.captcha.clone(), &self.config.captcha.on),
            deliveries,
            limits: shared_limits,
        })
    }

    fn issuer(&self, deliveries: Deliveries) -> Issuer {
        Issuer {
            db: self.db.clone(),
            store: self.store.clone(),
            keys: self.keys.clone(),
            tokens: self.config.tokens.clone(),
            sessions: self.config.sessions,
            passkeys: self.config.passkeys(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            deliveries,
        }
    }
}

/// How many hashes may wait: as many as are finished in a second, so that an admitted request waits
/// for a second at most. The time of one hash was measured at the start, with the engine, the
/// parameters and the machine in use. One hash takes 14 ms with `argon2` and OWASP's parameters on
/// a core of 2 GHz, and 5 to 7 ms with `simd`.
fn password_queue(hash_time: Duration, workers: usize) -> usize {
    let a_second = Duration::from_secs(1).as_nanos() / hash_time.as_nanos().max(1);
    workers * usize::try_from(a_second).unwrap_or(usize::MAX).clamp(1, 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_for_a_hash_waits_a_second_at_most() {
        let queue = |micros| password_queue(Duration::from_micros(micros), 2);
        assert_eq!(queue(14_000), 2 * 71);
        assert_eq!(queue(5_000), 2 * 200);
        assert_eq!(queue(3_000_000), 2, "never none");
        assert_eq!(queue(50), 2 * 256, "never without end");
        assert_eq!(queue(0), 2 * 256);
    }
}
