//! The settings of limits: `rate_limit.*`, `teams.*` and `audit.*`.

use std::time::Duration;

use super::settings;
use crate::config::kind::Kind::{self, Bool, Integer};
use crate::config::setting::D;
use crate::config::setting::Fallback::Is;

settings! {
    /// Limits for each IP address, each account and each recipient of mails
    RateLimits: Copy = "rate_limit" {
        /// `false` turns off every rate limit, including the limits on mails to one recipient. Use
        /// `false` for tests and benchmarks only.
        enabled: bool = "rate_limit.enabled", Bool, Is("true");
        /// The number of daemons that share the database and the token store. While the token store
        /// is down, each daemon grants only its part of every budget.
        replicas: u32 = "rate_limit.replicas", Integer(1, 1_000), Is("1");
        /// How many changes a logged-in user can make in an hour. All changes to the profile,
        /// sessions, teams, projects and keys together have this limit.
        account_writes: u32 = "rate_limit.account_writes", Integer(1, 100_000), Is("120");
        /// The maximum number of records of failed logins in the token store, for all daemons
        /// together. Each record takes about 300 bytes. If this number is reached, all accounts
        /// without a record share one back-off.
        keys_max: u32 = "rate_limit.keys_max", Integer(10_000, 1_000_000_000), Is("1000000");
    }
}

settings! {
    /// Limits on what one user or one team can have
    Teams: Copy = "teams" {
        /// The maximum number of teams of one user. A user with this many teams cannot create or
        /// join a further team.
        // Deleting an account reads each of these teams, one statement after the other.
        max_per_user: u64 = "teams.max_per_user", Integer(1, 1_000), Is("50");
        /// The maximum number of projects of one team.
        projects_max: u64 = "teams.projects_max", Integer(1, 100_000), Is("100");
        /// The maximum number of members of one team. Open invitations count as members.
        members_max: u64 = "teams.members_max", Integer(1, 100_000), Is("500");
        /// The maximum number of keys of one team, in all its projects together.
        keys_max: u64 = "teams.keys_max", Integer(1, 100_000), Is("200");
        /// The maximum number of invitations that one team can send in a day. It is also the
        /// maximum that one user can send in a day for all teams together. An invitation that is
        /// sent again counts again.
        invitations_per_day: u32 = "teams.invitations_per_day", Integer(1, 100_000), Is("100");
    }
}

settings! {
    /// The audit log
    Audit = "audit" {
        /// How long an audit event is kept.
        retention: Duration = "audit.retention", Kind::Duration(D, 4_000 * D), Is("400d");
    }
}
