//! The attributes of our own instruments, and the series that they make.

use opentelemetry::KeyValue;

use super::attributes::{Attribute, Values};
use super::typed::{Label, Outcome, Series, declared_words, words};

words! {
    /// That something succeeded.
    Done = "outcome" { Success = "success" }
    /// How a login proves the user.
    LoginMethod = "method" { Password = "password" }
    /// The two steps of a recovery.
    ResetStage = "stage" { Forgot = "forgot", Reset = "reset" }
    /// How a recovery goes on; over budget, the mailbox got enough mails.
    ResetOutcome = "outcome" { Success = "success", OverBudget = "over_budget" }
    /// Which token.
    TokenType = "type" { User = "user", Vault = "vault" }
    /// What a token turned out to be.
    RevokedType = "type" { User = "user", Vault = "vault", Unknown = "unknown" }
    /// How a refresh ended.
    RefreshOutcome = "outcome" { Success = "success", Reused = "reused", Gone = "gone" }
    /// Why a session ended before its time.
    EndReason = "reason" {
        Logout = "logout",
        Revoked = "revoked",
        Others = "others",
        Reused = "reused",
        PasswordChanged = "password_changed",
        Reset = "reset",
        EmailChangeUndone = "email_change_undone",
        Deleted = "deleted",
    }
    /// What changed in a team.
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
    /// How a grant ended: the errors of RFC 6749 §5.2 have names of their own.
    Grant = "outcome" {
        Success = "success",
        InvalidRequest = "invalid_request",
        InvalidClient = "invalid_client",
        InvalidScope = "invalid_scope",
        UnauthorizedClient = "unauthorized_client",
        UnsupportedGrantType = "unsupported_grant_type",
    }
    /// What a token is worth.
    Introspected = "outcome" { Active = "active", Inactive = "inactive" }
    /// What forward-auth says.
    ForwardAuth = "outcome" { Allowed = "allowed" }
    /// What was hashed for what.
    HashOperation = "operation" { Hash = "hash", Verify = "verify", Rehash = "rehash" }
    /// What a service of breached passwords says.
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
    /// Who checks a captcha.
    CaptchaProvider = "provider" {
        Altcha = "altcha",
        CloudflareTurnstile = "turnstile",
        Hcaptcha = "hcaptcha",
        RecaptchaV2 = "recaptcha-v2",
        RecaptchaV3 = "recaptcha-v3",
    }
    /// What the check found.
    CaptchaOutcome = "outcome" {
        Solved = "solved",
        Refused = "refused",
        Unavailable = "unavailable",
        Misconfigured = "misconfigured",
    }
    /// What became of a mail in one try: handed over; not wanted any more; refused, to come again; given up; or given back
    /// untouched, since nothing can leave at present.
    MailOutcome = "outcome" {
        Sent = "sent",
        Superseded = "superseded",
        Retry = "retry",
        Dead = "dead",
        Released = "released",
    }
    /// How what was recorded ended.
    AuditOutcome = "outcome" { Success = "success", Refused = "refused" }
    /// A store, as the prober names it.
    StoreName = "store" { Database = "database", TokenStore = "token_store" }
    /// What a limit decides.
    Decision = "decision" { Allowed = "allowed", Limited = "limited" }
    /// What the login back-off decides.
    AttemptDecision = "decision" { Allowed = "allowed", Limited = "limited", Captcha = "captcha" }
    /// Whose back-off.
    AttemptPolicy = "policy" { Anonymous = "password-checks", Known = "password-checks-device" }
    /// Where a budget was decided.
    BudgetScope = "scope" { Shared = "shared", Local = "local" }
    /// Where a limit by address is decided.
    AddressScope = "scope" { Address = "address" }
    /// Where a back-off is decided.
    AttemptScope = "scope" { Shared = "shared" }
}

declared_words! {
    /// A kind of mail.
    Template = "template", MailTemplates, "the kind of the mail ([mail](mail.md))";
    /// An action of the audit.
    AuditAction = "action", AuditActions, "an action of the [audit](audit.md)";
    /// A limit by address.
    AddressPolicy = "policy", AddressPolicies, "a limit by address ([limits](limits.md)); `-48` at its end: of the IPv6 /48";
    /// A budget.
    BudgetPolicy = "policy", Budgets, "a budget: `confirmations`, `recoveries`, `new-devices`, `invitations`, `address-changes`, `inviters`, `password-confirmations`, `account-writes`, `revocations`";
}

/// Log-ins.
pub type Logins = (LoginMethod, Outcome<Done>);
/// Recoveries.
pub type PasswordResets = (ResetStage, Outcome<ResetOutcome>);
/// Captchas checked.
pub type CaptchaVerifications = (CaptchaProvider, CaptchaOutcome);
/// Tries to deliver a mail.
pub type MailDeliveries = (Template, MailOutcome);
/// Rows of the audit.
pub type AuditEvents = (AuditAction, AuditOutcome);

/// A limit that was asked. Which decisions there are depends on its kind.
#[derive(Clone, Copy, Debug)]
pub enum RateDecision {
    /// A limit by address, session or device.
    Address(AddressPolicy, Decision),
    /// A budget.
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

/// The daemon's version.
#[derive(Clone, Copy, Debug)]
pub struct Version;

impl Label for Version {
    const ATTRIBUTE: Attribute = Attribute {
        key: "version",
        values: Values::Few(1, "the daemon's version"),
        is_optional: false,
    };

    fn word(self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
