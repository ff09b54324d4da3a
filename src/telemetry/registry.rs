//! Every metric, declared once: one row each. The fields of [`Instruments`], the instruments, their names in Prometheus and
//! `docs/telemetry.md` follow from it, and tests compare all exported series with it.
//!
//! Names follow OpenTelemetry's semantic conventions where those have one. The others start with `latchkey.`.

use opentelemetry::metrics::{self as otel, UpDownCounter};

use super::attributes::{self as of, Attribute, DeclaredValues};
use super::create;
use super::instrument::Instrument;
use super::instrument::Kind::{self, Counter, Gauge, Histogram, UpDown};
use super::labels::{
    AuditEvents, BreachOutcome, CaptchaVerifications, Done, EndReason, ForwardAuth, Grant,
    HashOperation, Introspected, Logins, MailDeliveries, PasswordResets, RateDecision,
    RefreshOutcome, RevokedType, ShedReason, StoreName, TenancyChange, TokenType, Version,
};
use super::typed::{Count, Level, Outcome, Series as _, Timing};

/// The conventions' buckets of a request's duration, in seconds.
const REQUEST: Kind =
    Histogram(&[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]);
/// The conventions' buckets of a database operation's, in seconds.
const OPERATION: Kind = Histogram(&[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);
/// Waiting and working in a pool, in seconds: from a function call to a deadline.
const POOL: Kind = Histogram(&[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]);
/// A mail's way to its server, in seconds: up to the patience of SMTP.
const DELIVERY: Kind = Histogram(&[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);

/// No attributes: one series.
const PLAIN: &[&[Attribute]] = &[&[]];

/// Declares the instruments, one row each: the constant, what OpenTelemetry knows of it, the sets of attributes that a
/// series can have, and the description. Code records through the field of
/// [`Metrics`](super::Metrics) that a row names. A row without a
/// field is read when it is exported.
macro_rules! instruments {
    ($(
        $id:ident = $kind:expr, $name:literal, $unit:literal, $shapes:expr, $description:literal
        $(=> $field:ident: $create:ident $type:ty)?;
    )+) => {
        $(
            #[doc = $description]
            pub const $id: Instrument = Instrument {
                name: $name,
                kind: $kind,
                unit: $unit,
                description: $description,
                shapes: $shapes,
            };
        )+

        /// Every instrument, in the order of the documentation.
        pub const ALL: &[Instrument] = &[$($id),+];

        /// The instruments that code records through, as fields of [`Metrics`](super::Metrics).
        #[derive(Debug)]
        pub struct Instruments {
            $($(#[doc = $description] pub $field: $type,)?)+
        }

        impl Instruments {
            pub(super) fn new(meter: &otel::Meter, declared: &DeclaredValues) -> Self {
                Self { $($($field: create::$create(meter, &$id, declared),)?)+ }
            }
        }
    };
}

instruments! {
    REQUEST_DURATION = REQUEST, "http.server.request.duration", "s",
        &[&[of::HTTP_METHOD, of::SCHEME, of::ROUTE, of::STATUS, of::SERVER_ERROR]],
        "Requests that were answered. 499: the client left before the answer was there."
        => request_duration: seconds otel::Histogram<f64>;
    ACTIVE_REQUESTS = UpDown, "http.server.active_requests", "{request}",
        &[&[of::HTTP_METHOD, of::SCHEME]],
        "Requests in work."
        => active_requests: up_down UpDownCounter<i64>;
    CLIENT_REQUEST_DURATION = REQUEST, "http.client.request.duration", "s",
        &[&[of::HTTP_METHOD, of::PEER, of::PEER_PORT, of::CLIENT_STATUS, of::CLIENT_ERROR]],
        "What is asked of others: vendors of captchas, the service of breached passwords."
        => client_request_duration: seconds otel::Histogram<f64>;
    DB_OPERATION_DURATION = OPERATION, "db.client.operation.duration", "s",
        &[
            &[of::SQL_SYSTEM, of::SQL_OPERATION, of::DB_ERROR],
            &[of::REDIS_SYSTEM, of::REDIS_OPERATION, of::DB_ERROR],
        ],
        "Statements and commands. `BEGIN` includes the wait for a connection, with SQLite also for the one writer; a \
         script is `EVALSHA`."
        => db_operation_duration: seconds otel::Histogram<f64>;
    DB_CONNECTIONS = UpDown, "db.client.connection.count", "{connection}",
        &[&[of::DB_POOL, of::DB_STATE]],
        "Connections to the database. PostgreSQL has one pool; SQLite has readers and one writer.";
    DB_CONNECTIONS_MAX = UpDown, "db.client.connection.max", "{connection}",
        &[&[of::DB_POOL]],
        "How many connections a pool may have.";
    DB_CONNECTION_TIMEOUTS = Counter, "db.client.connection.timeouts", "{timeout}", PLAIN,
        "Waits for a connection that were given up: the pool is exhausted, or the database unreachable.";

    PROCESS_CPU = Counter, "process.cpu.time", "s", &[&[of::CPU_MODE]],
        "Processor time of the process.";
    PROCESS_MEMORY = UpDown, "process.memory.usage", "By", PLAIN,
        "Physical memory in use.";
    PROCESS_VIRTUAL = UpDown, "process.memory.virtual", "By", PLAIN,
        "Virtual memory committed.";
    PROCESS_THREADS = UpDown, "process.thread.count", "{thread}", PLAIN,
        "Threads.";
    PROCESS_FILES = UpDown, "process.unix.file_descriptor.count", "{file_descriptor}", PLAIN,
        "Open file descriptors: files, and a socket for each connection.";
    PROCESS_UPTIME = Gauge, "process.uptime", "s", PLAIN,
        "How long the process has run.";
    TOKIO_WORKERS = Gauge, "tokio.workers", "{thread}", PLAIN,
        "Threads that run tasks.";
    TOKIO_TASKS = Gauge, "tokio.tasks.alive", "{task}", PLAIN,
        "Tasks that have not ended.";
    TOKIO_QUEUE = Gauge, "tokio.global_queue.depth", "{task}", PLAIN,
        "Tasks that wait for a thread in the shared queue.";
    TOKIO_BUSY = Counter, "tokio.workers.busy.time", "s", PLAIN,
        "Time that the threads spent in tasks; its rate through their number is their utilisation.";
    TOKIO_PARKS = Counter, "tokio.workers.parks", "{park}", PLAIN,
        "How often a thread went to sleep because there was nothing to do.";

    REQUESTS_SHED = Counter, "latchkey.requests.shed", "{request}", ShedReason::SHAPES,
        "Requests refused with 503: `in_flight` before any work, because `http.max_in_flight` were in work; \
         `body` because as many bodies were awaited, `source` because one address had its part of either; \
         `account`, `key` or `team` because one of them had its part of what is in work ([limits](limits.md))."
        => requests_shed: counted Count<ShedReason>;
    LOGINS = Counter, "latchkey.logins", "{login}", Logins::SHAPES,
        "Log-ins."
        => logins: counted Count<Logins>;
    REGISTRATIONS = Counter, "latchkey.registrations", "{registration}", <Outcome<Done>>::SHAPES,
        "Registrations."
        => registrations: counted Count<Outcome<Done>>;
    EMAIL_VERIFICATIONS = Counter, "latchkey.email_verifications", "{verification}", <Outcome<Done>>::SHAPES,
        "Links that prove an address, opened."
        => email_verifications: counted Count<Outcome<Done>>;
    PASSWORD_RESETS = Counter, "latchkey.password_resets", "{reset}",
        PasswordResets::SHAPES,
        "Recovery: asked for (`forgot`), done (`reset`). `over_budget`: the mailbox got enough mails."
        => password_resets: counted Count<PasswordResets>;
    TOKENS_ISSUED = Counter, "latchkey.tokens.issued", "{token}", TokenType::SHAPES,
        "Tokens made."
        => tokens_issued: counted Count<TokenType>;
    REFRESHES = Counter, "latchkey.refreshes", "{refresh}", RefreshOutcome::SHAPES,
        "Refreshes that reached the token store."
        => refreshes: counted Count<RefreshOutcome>;
    REFRESH_REUSE = Counter, "latchkey.refresh.reuse_detected", "{refresh}", PLAIN,
        "A token that had been replaced came back: stolen, or a broken client."
        => refresh_reuse_detected: counted Count<()>;
    SESSIONS_REVOKED = Counter, "latchkey.sessions.revoked", "{revocation}", EndReason::SHAPES,
        "Sessions ended before their time; those that end together count once."
        => sessions_revoked: counted Count<EndReason>;
    TENANCY_CHANGES = Counter, "latchkey.tenancy.changes", "{change}", TenancyChange::SHAPES,
        "Changes of teams, projects, keys, members and invitations."
        => tenancy_changes: counted Count<TenancyChange>;
    TOKEN_GRANTS = Counter, "latchkey.token_grants", "{request}", <Outcome<Grant>>::SHAPES,
        "Project keys turned into vaultTokens at `/api/token`."
        => token_grants: counted Count<Outcome<Grant>>;
    INTROSPECTIONS = Counter, "latchkey.introspections", "{request}", <Outcome<Introspected>>::SHAPES,
        "Tokens introspected."
        => introspections: counted Count<Outcome<Introspected>>;
    REVOCATIONS = Counter, "latchkey.revocations", "{token}", RevokedType::SHAPES,
        "Tokens revoked through `/api/revoke`, by what they were."
        => revocations: counted Count<RevokedType>;
    FORWARD_AUTHS = Counter, "latchkey.forward_auths", "{request}", <Outcome<ForwardAuth>>::SHAPES,
        "What proxies asked."
        => forward_auths: counted Count<Outcome<ForwardAuth>>;
    SIGNING_KEY_AGE = Gauge, "latchkey.signing_key.age", "s", &[&[of::KEY_KIND]],
        "Since when the key signs; above `latchkey.signing_key.age.limit` the rotation is stuck.";
    SIGNING_KEY_AGE_LIMIT = Gauge, "latchkey.signing_key.age.limit", "s", PLAIN,
        "`tokens.rotate_every`: the age at which another key takes its place."
        => signing_key_age_limit: value otel::Gauge<f64>;
    PASSWORD_HASH_DURATION = REQUEST, "latchkey.password.hash.duration", "s", HashOperation::SHAPES,
        "Hashing, without the wait for a worker."
        => password_hash_duration: timing Timing<HashOperation>;
    BREACH_CHECKS = Counter, "latchkey.password.breach_checks", "{password}", BreachOutcome::SHAPES,
        "New passwords held against breaches; all but `hit` let the password pass."
        => breach_checks: counted Count<BreachOutcome>;
    POOL_QUEUE_DEPTH = Gauge, "latchkey.pool.queue.depth", "{job}", &[&[of::POOL]],
        "Jobs that wait for a worker.";
    POOL_QUEUE_LIMIT = Gauge, "latchkey.pool.queue.limit", "{job}", &[&[of::POOL]],
        "Jobs that may wait; beyond it they are refused.";
    POOL_BUSY = Gauge, "latchkey.pool.busy", "{worker}", &[&[of::POOL]],
        "Workers at work.";
    POOL_WORKERS = Gauge, "latchkey.pool.workers", "{worker}", &[&[of::POOL]],
        "Workers there are.";
    POOL_SHED = Counter, "latchkey.pool.shed", "{job}", &[&[of::POOL, of::POOL_REASON]],
        "Jobs not done: the queue was full, or the deadline passed before a worker was free."
        => pool_shed: count otel::Counter<u64>;
    POOL_WAIT_DURATION = POOL, "latchkey.pool.wait.duration", "s", &[&[of::POOL]],
        "From asking to a free worker."
        => pool_wait_duration: seconds otel::Histogram<f64>;
    POOL_WORK_DURATION = POOL, "latchkey.pool.work.duration", "s", &[&[of::POOL]],
        "A worker's time with a job."
        => pool_work_duration: seconds otel::Histogram<f64>;
    POOL_WORKER_CRASHES = Counter, "latchkey.pool.worker.crashes", "{crash}",
        &[&[of::POOL], &[of::TASK_AS_POOL]],
        "Crashes of workers, which were replaced, and of tasks, which were restarted (`pool` is the task's name then); above 0 \
         is a defect: report it."
        => pool_worker_crashes: count otel::Counter<u64>;
    TASK_OVERDUE = Gauge, "latchkey.task.overdue", "s", &[&[of::TASK]],
        "How long the next run of a task is overdue. It stays near 0; it grows while a run hangs or keeps crashing.";
    RATE_LIMIT_DECISIONS = Counter, "latchkey.rate_limit.decisions", "{decision}",
        RateDecision::SHAPES,
        "Limits asked. `local`: the token store was down, and the daemon's own smaller budget decided."
        => rate_limit_decisions: counted Count<RateDecision>;
    CAPTCHA_VERIFICATIONS = Counter, "latchkey.captcha.verifications", "{captcha}",
        CaptchaVerifications::SHAPES,
        "Captchas checked. `misconfigured`: the vendor refuses your settings."
        => captcha_verifications: counted Count<CaptchaVerifications>;
    MAIL_OUTBOX_DEPTH = Gauge, "latchkey.mail.outbox.depth", "{mail}", PLAIN,
        "Mails that have not left. Every replica tells of the same outbox: take the maximum."
        => mail_outbox_depth: level Level<()>;
    MAIL_OUTBOX_AGE = Gauge, "latchkey.mail.outbox.oldest.age", "s", PLAIN,
        "How long the oldest of them has waited; an age that grows is mail that does not leave."
        => mail_outbox_oldest_age: value otel::Gauge<f64>;
    MAIL_DELIVERIES = Counter, "latchkey.mail.deliveries", "{mail}", MailDeliveries::SHAPES,
        "Tries to deliver a mail."
        => mail_deliveries: counted Count<MailDeliveries>;
    MAIL_DELIVERY_DURATION = DELIVERY, "latchkey.mail.delivery.duration", "s",
        MailDeliveries::SHAPES,
        "One try, from taking the row to marking it."
        => mail_delivery_duration: timing Timing<MailDeliveries>;
    AUDIT_EVENTS = Counter, "latchkey.audit.events", "{event}", AuditEvents::SHAPES,
        "Rows of the audit."
        => audit_events: counted Count<AuditEvents>;
    AUDIT_WRITE_FAILURES = Counter, "latchkey.audit.write.failures", "{event}", PLAIN,
        "Rows of the audit that could not be written: raise an alarm on any."
        => audit_write_failures: counted Count<()>;
    STORE_WRITABLE = Gauge, "latchkey.store.writable", "", StoreName::SHAPES,
        "1 when the last probe wrote to the store and read it back, 0 when it failed; the log and `/readyz` have the reason."
        => store_writable: level Level<StoreName>;
    MIGRATIONS_PENDING = Gauge, "latchkey.migrations.pending", "{migration}", PLAIN,
        "Migrations that this binary knows and the database lacks."
        => migrations_pending: level Level<()>;
    TELEMETRY_DROPPED = Counter, "latchkey.telemetry.dropped", "{item}", &[&[of::SIGNAL]],
        "Spans, log records and batches of metrics that were not exported: the collector is slow or away.";
    LOG_DROPPED = Counter, "latchkey.log.dropped", "{line}", PLAIN,
        "Lines of the log that were dropped: the reader of stderr stalls or is gone, or the disk is full \
         ([operating](operate.md#when-nobody-reads-the-log)).";
    BUILD_INFO = Gauge, "latchkey.build.info", "", Version::SHAPES,
        "Always 1."
        => build_info: level Level<Version>;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::daemon::declared_values;
    use crate::telemetry::instrument::{SERIES_MAX, STANDARD_SERIES_MAX};

    #[test]
    fn none_of_ours_can_have_more_than_200_series() {
        for instrument in ALL.iter().filter(|it| it.is_ours()) {
            let series = instrument.series(&declared_values());
            assert!((1..=SERIES_MAX).contains(&series), "{}: {series}", instrument.name);
        }
    }

    #[test]
    fn what_the_conventions_have_is_closed_but_for_route_and_status() {
        for instrument in ALL.iter().filter(|it| !it.is_ours()) {
            let by_status = instrument.name.starts_with("http.");
            assert!(
                by_status || instrument.series(&declared_values()) <= STANDARD_SERIES_MAX,
                "{}",
                instrument.name
            );
        }
    }

    #[test]
    fn names_are_told_apart_by_opentelemetry_and_by_prometheus() {
        let names: BTreeSet<_> = ALL.iter().map(|it| it.name).collect();
        let prometheus: BTreeSet<_> = ALL.iter().map(Instrument::prometheus_name).collect();
        assert_eq!((names.len(), prometheus.len()), (ALL.len(), ALL.len()));
        for instrument in ALL {
            assert!(instrument.description.ends_with('.'), "{}", instrument.name);
        }
    }

    #[test]
    fn a_series_of_another_shape_is_not_admitted() {
        let declared = declared_values();
        let admits = |pairs: &[(&str, &str)]| RATE_LIMIT_DECISIONS.admits(&declared, pairs);
        assert!(admits(&[("policy", "login"), ("decision", "limited"), ("scope", "address")]));
        assert!(admits(&[("scope", "local"), ("policy", "recoveries"), ("decision", "allowed")]));
        assert!(!admits(&[("policy", "login"), ("decision", "limited"), ("scope", "local")]));
        assert!(!admits(&[("policy", "login"), ("decision", "captcha"), ("scope", "address")]));
        assert!(!admits(&[("policy", "login"), ("decision", "limited")]));
        assert!(
            !LOGINS.admits(&declared, &[("method", "password"), ("outcome", "jo@example.com")])
        );
        assert!(!AUDIT_WRITE_FAILURES.admits(&declared, &[("user", "jo")]));
    }
}
