//! The attributes of latchkey's own instruments, and the series that they form.

use opentelemetry::KeyValue;

use super::attributes::{Attribute, Values};
use super::typed::{Label, Outcome, Series, declared_words, words};

words! {
    /// A worker pool.
    PoolName = "pool" {
        Password = "password",
        Session = "session",
        Registration = "registration",
        Captcha = "captcha",
        Mailer = "mailer",
        Limits = "limits",
    }
    /// Why a pool did not do a job.
    ShedJob = "reason" { QueueFull = "queue_full", Expired = "expired" }
    /// A background task, which starts with the daemon.
    TaskName = "task" {
        AcceptPublic = "accept_public",
        AcceptAdmin = "accept_admin",
        AccountSweep = "account_sweep",
        Audit = "audit",
        AuditCheckpoint = "audit_checkpoint",
        EmailChangeSweep = "email_change_sweep",
        EndedSessionSweep = "ended_session_sweep",
        ExportLogs = "export_logs",
        ExportTraces = "export_traces",
        FirstFactorSweep = "first_factor_sweep",
        InvitationSweep = "invitation_sweep",
        KeyRotation = "key_rotation",
        LimitsSweep = "limits_sweep",
        MailDelivery = "mail_delivery",
        MetricsPush = "metrics_push",
        MigrationsCount = "migrations_count",
        OutboxCount = "outbox_count",
        OutboxSweep = "outbox_sweep",
        ProbeDatabase = "probe_database",
        ProbeTokenStore = "probe_token_store",
        RevocationSweep = "revocation_sweep",
        TlsReload = "tls_reload",
    }
    /// The outcome of an operation that succeeded.
    Done = "outcome" { Success = "success" }
    /// How a user proves their identity in a login.
    LoginMethod = "method" { Password = "password", Passkey = "passkey" }
    /// The first proof of a user whose session was opened. `email`: a mailed link.
    FirstProofMethod = "method" { Password = "password", Passkey = "passkey", Email = "email" }
    /// The level of a new session (`acr`).
    SessionLevel = "level" { Aal1 = "aal1", Aal2 = "aal2" }
    /// What happened to a login that needs a second factor.
    ChallengeOutcome = "outcome" {
        Issued = "issued",
        Completed = "completed",
        WrongCode = "wrong_code",
        Ended = "ended",
        Limited = "limited",
    }
    /// The kind of a second factor.
    FactorKindLabel = "kind" { Totp = "totp", Passkey = "passkey" }
    /// What happened to a second factor.
    FactorChange = "change" { Added = "added", Removed = "removed" }
    /// The method of a code.
    CodeMethod = "method" { Totp = "totp", RecoveryCode = "recovery-code" }
    /// The request with a code. `enrolment`: the first code of a new authenticator app.
    CodeStage = "stage" { Login = "login", StepUp = "step_up", Enrolment = "enrolment" }
    /// The two steps of a recovery.
    ResetStage = "stage" { Forgot = "forgot", Reset = "reset" }
    /// How a step of a recovery ended. `over_budget`: the recipient has received enough mails.
    ResetOutcome = "outcome" { Success = "success", OverBudget = "over_budget" }
    /// The type of a token.
    TokenType = "type" { User = "user", Vault = "vault" }
    /// The type that a token turned out to have.
    RevokedType = "type" { User = "user", Vault = "vault", Unknown = "unknown" }
    /// How a refresh ended.
    RefreshOutcome = "outcome" {
        Success = "success",
        Recovered = "recovered",
        Reused = "reused",
        Gone = "gone",
    }
    /// Why a session ended before it expired.
    EndReason = "reason" {
        Logout = "logout",
        Revoked = "revoked",
        Others = "others",
        Reused = "reused",
        PasswordChanged = "password_changed",
        FactorAdded = "factor_added",
        FactorUndone = "factor_undone",
        Reset = "reset",
        EmailChangeUndone = "email_change_undone",
        Deleted = "deleted",
    }
    /// The kind of change in a team.
    TenancyChange = "change" {
        TeamCreated = "team_created",
        TeamUpdated = "team_updated",
        TeamDeleted = "team_deleted",
        TeamSwitched = "team_switched",
        ProjectCreated = "project_created",
        ProjectUpdated = "project_updated",
        ProjectDeleted = "project_deleted",
        MemberRoleChanged = "member_role_changed",
        MemberRemoved = "member_removed",
        MemberLeft = "member_left",
        InvitationCreated = "invitation_created",
        InvitationResent = "invitation_resent",
        InvitationRevoked = "invitation_revoked",
        InvitationAccepted = "invitation_accepted",
        InvitationDeclined = "invitation_declined",
        KeyCreated = "key_created",
        KeyRevoked = "key_revoked",
    }
    /// How a token request ended. The errors of RFC 6749 §5.2 have their own names.
    Grant = "outcome" {
        Success = "success",
        InvalidRequest = "invalid_request",
        InvalidClient = "invalid_client",
        InvalidScope = "invalid_scope",
        UnauthorizedClient = "unauthorized_client",
        UnsupportedGrantType = "unsupported_grant_type",
    }
    /// The result of an introspection.
    Introspected = "outcome" { Active = "active", Inactive = "inactive" }
    /// The result of a forward-auth check.
    ForwardAuth = "outcome" { Allowed = "allowed" }
    /// Why a password was hashed.
    HashOperation = "operation" { Hash = "hash", Verify = "verify", Rehash = "rehash" }
    /// Why a stored password hash cannot be verified.
    UnverifiableHash = "reason" {
        Unreadable = "unreadable",
        TooCostly = "too_costly",
        PepperMissing = "pepper_missing",
    }
    /// The result of a check for breached passwords.
    BreachOutcome = "outcome" {
        Hit = "hit",
        Miss = "miss",
        Malformed = "malformed",
        Unavailable = "unavailable",
        Skipped = "skipped",
    }
    /// Why a request was refused before any work.
    ShedReason = "reason" {
        InFlight = "in_flight",
        Body = "body",
        Source = "source",
        Account = "account",
        Key = "key",
        Team = "team",
    }
    /// The provider that checks a captcha.
    CaptchaProvider = "provider" {
        Altcha = "altcha",
        CloudflareTurnstile = "turnstile",
        Hcaptcha = "hcaptcha",
        RecaptchaV2 = "recaptcha-v2",
        RecaptchaV3 = "recaptcha-v3",
    }
    /// The result of a captcha check.
    CaptchaOutcome = "outcome" {
        Solved = "solved",
        Refused = "refused",
        Unavailable = "unavailable",
        Misconfigured = "misconfigured",
    }
    /// How an attempt to deliver a mail ended:
    ///
    /// - `sent`: the mail was handed over.
    /// - `superseded`: the mail is not wanted any more.
    /// - `retry`: the mail was refused and will be tried again.
    /// - `dead`: the mail was given up.
    /// - `released`: the mail was returned unchanged, because no mail can be sent at present.
    MailOutcome = "outcome" {
        Sent = "sent",
        Superseded = "superseded",
        Retry = "retry",
        Dead = "dead",
        Released = "released",
    }
    /// How an action in the audit ended.
    AuditOutcome = "outcome" { Success = "success", Refused = "refused" }
    /// A store, with the name that the prober uses.
    StoreName = "store" { Database = "database", TokenStore = "token_store" }
    /// The decision of a limit.
    Decision = "decision" { Allowed = "allowed", Limited = "limited" }
    /// The decision of the login back-off.
    AttemptDecision = "decision" { Allowed = "allowed", Limited = "limited", Captcha = "captcha" }
    /// Which back-off decided: the back-off of anonymous clients or the back-off of known devices.
    AttemptPolicy = "policy" { Anonymous = "password-checks", Known = "password-checks-device", FactorCode = "factor-codes" }
    /// Where a budget was decided: in the token store (`shared`) or in this process (`local`).
    BudgetScope = "scope" { Shared = "shared", Local = "local" }
    /// The scope of a limit by address.
    AddressScope = "scope" { Address = "address" }
    /// Where a back-off is decided: in the token store.
    AttemptScope = "scope" { Shared = "shared" }
}

declared_words! {
    /// A kind of mail.
    Template = "template", MailTemplates, "the kind of mail ([mail](mail.md))";
    /// An action in the audit.
    AuditAction = "action", AuditActions, "an action in the [audit](audit.md)";
    /// A limit by address.
    AddressPolicy = "policy", AddressPolicies, "the name of a limit by address ([limits](limits.md)), which ends in `-48` for the limit of an IPv6 /48";
    /// A budget.
    BudgetPolicy = "policy", Budgets, "the name of a budget: `confirmations`, `recoveries`, `new-devices`, `invitations`, `address-changes`, `inviters`, `password-confirmations`, `login-challenges`, `account-writes`, `revocations`";
}

pub type Logins = (LoginMethod, Outcome<Done>);
pub type OpenedSessions = (FirstProofMethod, SessionLevel);
pub type FactorChanges = (FactorKindLabel, FactorChange);
pub type WrongCodes = (CodeMethod, CodeStage);
pub type PasswordResets = (ResetStage, Outcome<ResetOutcome>);
pub type CaptchaVerifications = (CaptchaProvider, CaptchaOutcome);
pub type MailDeliveries = (Template, MailOutcome);
pub type AuditEvents = (AuditAction, AuditOutcome);

/// A decision of a limit. The possible decisions depend on the kind of limit.
#[derive(Clone, Copy, Debug)]
pub enum RateDecision {
    /// A limit by address, session or device.
    Address(AddressPolicy, Decision),
    Budget(BudgetPolicy, Decision, BudgetScope),
    /// The login back-off.
    Attempt(AttemptPolicy, AttemptDecision),
}

impl Series for RateDecision {
    const SHAPES: &'static [&'static [Attribute]] = &[
        &[AddressPolicy::ATTRIBUTE, Decision::ATTRIBUTE, AddressScope::ATTRIBUTE],
        &[BudgetPolicy::ATTRIBUTE, Decision::ATTRIBUTE, BudgetScope::ATTRIBUTE],
        &[AttemptPolicy::ATTRIBUTE, AttemptDecision::ATTRIBUTE, AttemptScope::ATTRIBUTE],
    ];

    fn attributes(self) -> impl AsRef<[KeyValue]> {
        match self {
            Self::Address(policy, decision) => {
                [policy.key_value(), decision.key_value(), AddressScope::Address.key_value()]
            }
            Self::Budget(policy, decision, scope) => {
                [policy.key_value(), decision.key_value(), scope.key_value()]
            }
            Self::Attempt(policy, decision) => {
                [policy.key_value(), decision.key_value(), AttemptScope::Shared.key_value()]
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Version;

impl Label for Version {
    const ATTRIBUTE: Attribute = Attribute {
        key: "version",
        values: Values::Few(1, "the version of the daemon"),
        is_optional: false,
    };

    fn word(self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// Jobs that a pool did not do.
pub type ShedJobs = (PoolName, ShedJob);

/// A crash of a worker or of a task. The name of the task is in the attribute `pool`.
#[derive(Clone, Copy, Debug)]
pub enum Crash {
    Worker(PoolName),
    Task(TaskName),
}

impl Series for Crash {
    const SHAPES: &'static [&'static [Attribute]] = &[
        &[PoolName::ATTRIBUTE],
        &[Attribute { key: PoolName::ATTRIBUTE.key, ..TaskName::ATTRIBUTE }],
    ];

    fn attributes(self) -> impl AsRef<[KeyValue]> {
        [match self {
            Self::Worker(pool) => pool.key_value(),
            Self::Task(task) => KeyValue::new(PoolName::ATTRIBUTE.key, task.name()),
        }]
    }
}
