//! The declarations of all metrics, one row for each metric. The fields of [`Instruments`], the
//! instruments, their names in Prometheus and `docs/telemetry.md` are generated from the rows.
//! Tests compare all exported series with the rows.
//!
//! If OpenTelemetry's semantic conventions have a name for a metric, that name is used. Other names
//! start with `latchkey.`.

use opentelemetry::metrics::{self as otel, UpDownCounter};

use super::attributes::{self as of, Attribute, DeclaredValues};
use super::create;
use super::instrument::Instrument;
use super::instrument::Kind::{self, Counter, Gauge, Histogram, UpDown};
use super::labels::{
    AuditEvents, BreachOutcome, CaptchaVerifications, ChallengeOutcome, Crash, Done, EndReason,
    FactorChanges, ForwardAuth, Grant, HashOperation, Introspected, Logins, MailDeliveries,
    OpenedSessions, PasswordResets, PoolName, RateDecision, RefreshOutcome, RevokedType, ShedJobs,
    ShedReason, StoreName, TaskName, TenancyChange, TokenType, UnverifiableHash, Version,
    WrongCodes,
};
use super::typed::{Count, Level, Outcome, Series as _, Timing};

/// The conventions' buckets of a request's duration, in seconds.
const REQUEST: Kind =
    Histogram(&[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]);
/// The conventions' buckets of the duration of a database operation, in seconds.
const OPERATION: Kind = Histogram(&[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);
/// Buckets of the time that a job waits or works in a pool, in seconds. They range from a function
/// call to a deadline.
const POOL: Kind = Histogram(&[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]);
/// Buckets of the time that the delivery of a mail takes, in seconds, up to the timeout of SMTP.
const DELIVERY: Kind = Histogram(&[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);

/// No attributes: one series.
const PLAIN: &[&[Attribute]] = &[&[]];

/// Declares the instruments, one row for each instrument: the constant, the instrument's kind, name
/// and unit in OpenTelemetry, the sets of attributes that a series can have, and the description.
/// Code records through the field of [`Metrics`](super::Metrics) that a row names. If a row names
/// no field, its values are read when they are exported.
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
        "Duration of requests. Status 499: the client left before the response was ready."
        => request_duration: seconds otel::Histogram<f64>;
    ACTIVE_REQUESTS = UpDown, "http.server.active_requests", "{request}",
        &[&[of::HTTP_METHOD, of::SCHEME]],
        "Requests in progress."
        => active_requests: up_down UpDownCounter<i64>;
    CLIENT_REQUEST_DURATION = REQUEST, "http.client.request.duration", "s",
        &[&[of::HTTP_METHOD, of::PEER, of::PEER_PORT, of::CLIENT_STATUS, of::CLIENT_ERROR]],
        "Duration of requests to other services: captcha vendors and the service of breached \
         passwords."
        => client_request_duration: seconds otel::Histogram<f64>;
    DB_OPERATION_DURATION = OPERATION, "db.client.operation.duration", "s",
        &[
            &[of::SQL_SYSTEM, of::SQL_OPERATION, of::DB_ERROR],
            &[of::REDIS_SYSTEM, of::REDIS_OPERATION, of::DB_ERROR],
        ],
        "Duration of database statements and Redis commands. `BEGIN` includes the wait for a \
         connection, and with SQLite also the wait for the only writer. A Redis script is \
         `EVALSHA`."
        => db_operation_duration: seconds otel::Histogram<f64>;
    DB_CONNECTIONS = UpDown, "db.client.connection.count", "{connection}",
        &[&[of::DB_POOL, of::DB_STATE]],
        "Connections to the database. PostgreSQL has one pool. SQLite has a pool of readers and \
         one writer.";
    DB_CONNECTIONS_MAX = UpDown, "db.client.connection.max", "{connection}",
        &[&[of::DB_POOL]],
        "The maximum number of connections of a pool.";
    DB_CONNECTION_TIMEOUTS = Counter, "db.client.connection.timeouts", "{timeout}", PLAIN,
        "How often the wait for a database connection timed out. The pool is exhausted, or the \
         database cannot be reached.";

    PROCESS_CPU = Counter, "process.cpu.time", "s", &[&[of::CPU_MODE]],
        "Processor time that the process used.";
    PROCESS_MEMORY = UpDown, "process.memory.usage", "By", PLAIN,
        "Physical memory in use.";
    PROCESS_VIRTUAL = UpDown, "process.memory.virtual", "By", PLAIN,
        "Virtual memory that the process has committed.";
    PROCESS_THREADS = UpDown, "process.thread.count", "{thread}", PLAIN,
        "Threads of the process.";
    PROCESS_FILES = UpDown, "process.unix.file_descriptor.count", "{file_descriptor}", PLAIN,
        "Open file descriptors, including one socket for each connection.";
    PROCESS_UPTIME = Gauge, "process.uptime", "s", PLAIN,
        "Time since the start of the process.";
    TOKIO_WORKERS = Gauge, "tokio.workers", "{thread}", PLAIN,
        "Threads that run Tokio tasks.";
    TOKIO_TASKS = Gauge, "tokio.tasks.alive", "{task}", PLAIN,
        "Tasks that have not ended.";
    TOKIO_QUEUE = Gauge, "tokio.global_queue.depth", "{task}", PLAIN,
        "Tasks in the shared queue that wait for a thread.";
    TOKIO_BUSY = Counter, "tokio.workers.busy.time", "s", PLAIN,
        "Time that the threads spent in tasks. Its rate divided by `tokio.workers` is the \
         utilisation of the threads.";
    TOKIO_PARKS = Counter, "tokio.workers.parks", "{park}", PLAIN,
        "How often a thread went to sleep because it had no work.";

    REQUESTS_SHED = Counter, "latchkey.requests.shed", "{request}", ShedReason::SHAPES,
        "Requests refused with 503. `in_flight`: `http.max_in_flight` requests were in progress, \
         so the request was refused before any work. `body`: `http.max_in_flight` requests were \
         still uploading their body. `source`: one IP address had used its part of one of these \
         limits. `account`, `key`, `team`: one account, key or team had used its part of the \
         requests in progress ([limits](limits.md))."
        => requests_shed: counted Count<ShedReason>;
    LOGINS = Counter, "latchkey.logins", "{login}", Logins::SHAPES,
        "Logins, successful and refused. `factor-required`: the password was right, and the login \
         waits for the second factor."
        => logins: counted Count<Logins>;
    LOGIN_CHALLENGES = Counter, "latchkey.login.challenges", "{event}", ChallengeOutcome::SHAPES,
        "Logins that need a second factor. `issued`: the first proof was right. `completed`: the \
         second one was right too. `wrong_code`: a code or passkey was refused. `ended`: a code or \
         passkey came for an unknown or ended login. `limited`: the client has to wait."
        => login_challenges: counted Count<ChallengeOutcome>;
    FACTOR_CHANGES = Counter, "latchkey.factor.changes", "{change}", FactorChanges::SHAPES,
        "Second factors that users added and removed. An authenticator app that replaces another \
         one counts as added."
        => factor_changes: counted Count<FactorChanges>;
    WRONG_CODES = Counter, "latchkey.factor.wrong_codes", "{code}", WrongCodes::SHAPES,
        "Codes of second factors that were wrong, or were used before. A client can send a code \
         only after the right password, or in a session."
        => wrong_codes: counted Count<WrongCodes>;
    REGISTRATIONS = Counter, "latchkey.registrations", "{registration}", <Outcome<Done>>::SHAPES,
        "Registrations, successful and refused."
        => registrations: counted Count<Outcome<Done>>;
    EMAIL_VERIFICATIONS = Counter, "latchkey.email_verifications", "{verification}", <Outcome<Done>>::SHAPES,
        "Confirmation links that users opened and confirmed, by outcome."
        => email_verifications: counted Count<Outcome<Done>>;
    PASSWORD_RESETS = Counter, "latchkey.password_resets", "{reset}",
        PasswordResets::SHAPES,
        "Recoveries that users requested (`forgot`) and completed (`reset`). `over_budget`: the \
         recipient has already received enough mails."
        => password_resets: counted Count<PasswordResets>;
    TOKENS_ISSUED = Counter, "latchkey.tokens.issued", "{token}", TokenType::SHAPES,
        "Issued tokens."
        => tokens_issued: counted Count<TokenType>;
    REFRESHES = Counter, "latchkey.refreshes", "{refresh}", RefreshOutcome::SHAPES,
        "Refreshes that reached the token store."
        => refreshes: counted Count<RefreshOutcome>;
    REFRESH_REUSE = Counter, "latchkey.refresh.reuse_detected", "{refresh}", PLAIN,
        "Replaced refresh tokens that were used again. Either the token was stolen, or a client is \
         broken."
        => refresh_reuse_detected: counted Count<()>;
    SESSIONS_OPENED = Counter, "latchkey.sessions.opened", "{session}", OpenedSessions::SHAPES,
        "Sessions that logins, registrations and mailed links opened, by the first proof and the \
         level (`acr`)."
        => sessions_opened: counted Count<OpenedSessions>;
    SESSIONS_REVOKED = Counter, "latchkey.sessions.revoked", "{revocation}", EndReason::SHAPES,
        "Sessions that ended before they expired. Sessions that end together count once."
        => sessions_revoked: counted Count<EndReason>;
    TENANCY_CHANGES = Counter, "latchkey.tenancy.changes", "{change}", TenancyChange::SHAPES,
        "Changes to teams, projects, keys, members and invitations."
        => tenancy_changes: counted Count<TenancyChange>;
    TOKEN_GRANTS = Counter, "latchkey.token_grants", "{request}", <Outcome<Grant>>::SHAPES,
        "Requests at `/api/token`, which exchange a project key for a vaultToken."
        => token_grants: counted Count<Outcome<Grant>>;
    INTROSPECTIONS = Counter, "latchkey.introspections", "{request}", <Outcome<Introspected>>::SHAPES,
        "Introspection requests."
        => introspections: counted Count<Outcome<Introspected>>;
    REVOCATIONS = Counter, "latchkey.revocations", "{token}", RevokedType::SHAPES,
        "Revocation requests at `/api/revoke`, by the type of the token."
        => revocations: counted Count<RevokedType>;
    FORWARD_AUTHS = Counter, "latchkey.forward_auths", "{request}", <Outcome<ForwardAuth>>::SHAPES,
        "Forward-auth requests of proxies."
        => forward_auths: counted Count<Outcome<ForwardAuth>>;
    SIGNING_KEY_AGE = Gauge, "latchkey.signing_key.age", "s", &[&[of::KEY_KIND]],
        "How long the current key has signed. If the value is above \
         `latchkey.signing_key.age.limit`, the rotation is stuck.";
    SIGNING_KEY_AGE_LIMIT = Gauge, "latchkey.signing_key.age.limit", "s", PLAIN,
        "The age at which a new key replaces the current key (`tokens.rotate_every`)."
        => signing_key_age_limit: value otel::Gauge<f64>;
    PASSWORD_HASH_DURATION = REQUEST, "latchkey.password.hash.duration", "s", HashOperation::SHAPES,
        "Duration of a password hash, without the wait for a worker."
        => password_hash_duration: timing Timing<HashOperation>;
    PASSWORD_UNVERIFIABLE = Counter, "latchkey.password.unverifiable", "{password}",
        UnverifiableHash::SHAPES,
        "Passwords whose stored hash cannot be verified. They are refused like wrong passwords. If \
         the reason is `pepper_missing`, add the pepper to `password.pepper_previous`."
        => password_unverifiable: counted Count<UnverifiableHash>;
    BREACH_CHECKS = Counter, "latchkey.password.breach_checks", "{password}", BreachOutcome::SHAPES,
        "New passwords that were checked for breaches. Every outcome except `hit` accepts the \
         password."
        => breach_checks: counted Count<BreachOutcome>;
    POOL_QUEUE_DEPTH = Gauge, "latchkey.pool.queue.depth", "{job}", PoolName::SHAPES,
        "Jobs that wait for a worker.";
    POOL_QUEUE_LIMIT = Gauge, "latchkey.pool.queue.limit", "{job}", PoolName::SHAPES,
        "The maximum number of jobs that wait. The pool refuses further jobs.";
    POOL_BUSY = Gauge, "latchkey.pool.busy", "{worker}", PoolName::SHAPES,
        "Workers that are busy.";
    POOL_WORKERS = Gauge, "latchkey.pool.workers", "{worker}", PoolName::SHAPES,
        "All workers of the pool.";
    POOL_SHED = Counter, "latchkey.pool.shed", "{job}", ShedJobs::SHAPES,
        "Jobs that were not done. `queue_full`: the queue was full. `expired`: the deadline passed \
         before a worker was free."
        => pool_shed: counted Count<ShedJobs>;
    POOL_WAIT_DURATION = POOL, "latchkey.pool.wait.duration", "s", PoolName::SHAPES,
        "Time that a job waits for a free worker."
        => pool_wait_duration: timing Timing<PoolName>;
    POOL_WORK_DURATION = POOL, "latchkey.pool.work.duration", "s", PoolName::SHAPES,
        "Time that a worker needs for a job."
        => pool_work_duration: timing Timing<PoolName>;
    POOL_WORKER_CRASHES = Counter, "latchkey.pool.worker.crashes", "{crash}",
        Crash::SHAPES,
        "Crashes of workers, which were replaced, and of background tasks, which were restarted. \
         For a task, `pool` is the name of the task. Each crash is a defect: report it."
        => pool_worker_crashes: counted Count<Crash>;
    TASK_OVERDUE = Gauge, "latchkey.task.overdue", "s", TaskName::SHAPES,
        "How long the next run of a task is overdue. The value stays near 0. It grows while a run \
         of the task hangs, or while the runs crash.";
    RATE_LIMIT_DECISIONS = Counter, "latchkey.rate_limit.decisions", "{decision}",
        RateDecision::SHAPES,
        "Decisions of the limits. Scope `local`: the token store was down, so the daemon used its \
         own smaller budget."
        => rate_limit_decisions: counted Count<RateDecision>;
    CAPTCHA_VERIFICATIONS = Counter, "latchkey.captcha.verifications", "{captcha}",
        CaptchaVerifications::SHAPES,
        "Captchas that were verified. `misconfigured`: the vendor refuses your settings."
        => captcha_verifications: counted Count<CaptchaVerifications>;
    MAIL_OUTBOX_DEPTH = Gauge, "latchkey.mail.outbox.depth", "{mail}", PLAIN,
        "Mails in the outbox that have not been sent. Every replica reports the same outbox, so \
         use the maximum of the replicas, not the sum."
        => mail_outbox_depth: level Level<()>;
    MAIL_OUTBOX_AGE = Gauge, "latchkey.mail.outbox.oldest.age", "s", PLAIN,
        "How long the oldest mail in the outbox has waited. If the age keeps growing, no mail is \
         sent."
        => mail_outbox_oldest_age: value otel::Gauge<f64>;
    MAIL_DELIVERIES = Counter, "latchkey.mail.deliveries", "{mail}", MailDeliveries::SHAPES,
        "Attempts to deliver a mail."
        => mail_deliveries: counted Count<MailDeliveries>;
    MAIL_DELIVERY_DURATION = DELIVERY, "latchkey.mail.delivery.duration", "s",
        MailDeliveries::SHAPES,
        "Duration of one attempt, from claiming the mail in the outbox to storing the outcome."
        => mail_delivery_duration: timing Timing<MailDeliveries>;
    AUDIT_EVENTS = Counter, "latchkey.audit.events", "{event}", AuditEvents::SHAPES,
        "Audit rows that were written."
        => audit_events: counted Count<AuditEvents>;
    AUDIT_WRITE_FAILURES = Counter, "latchkey.audit.write.failures", "{event}", PLAIN,
        "Audit rows that could not be written. Alert on each of them."
        => audit_write_failures: counted Count<()>;
    STORE_WRITABLE = Gauge, "latchkey.store.writable", "", StoreName::SHAPES,
        "1 if the last probe wrote to the store and read the value back, 0 if it failed. The log \
         and `/readyz` give the reason."
        => store_writable: level Level<StoreName>;
    RECORDS_REFUSED = Counter, "latchkey.store.records.refused", "{record}", PLAIN,
        "Sessions and mailed tokens in the token store that were ignored, because latchkey did not \
         write them or another program altered them. Alert on each of them: another program writes \
         to the token store, or daemons use different keys ([keys](tokens.md#keys))."
        => records_refused: counted Count<()>;
    MIGRATIONS_PENDING = Gauge, "latchkey.migrations.pending", "{migration}", PLAIN,
        "Migrations that this version knows and the database lacks."
        => migrations_pending: level Level<()>;
    TELEMETRY_DROPPED = Counter, "latchkey.telemetry.dropped", "{item}", &[&[of::SIGNAL]],
        "Spans, log records and batches of metrics that were not exported because the collector is \
         slow or down.";
    LOG_DROPPED = Counter, "latchkey.log.dropped", "{line}", PLAIN,
        "Log lines that were dropped because the reader of stderr is slow or gone, or the disk is \
         full ([operating](operate.md#when-nobody-reads-the-log)).";
    BUILD_INFO = Gauge, "latchkey.build.info", "", Version::SHAPES,
        "Always 1. The attribute `version` is the version of the daemon."
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
    fn metrics_of_the_conventions_have_a_limited_number_of_series() {
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
    fn names_are_unique_in_opentelemetry_and_in_prometheus() {
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
