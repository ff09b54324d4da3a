//! The settings of limits: `rate_limit.*`, `teams.*` and `audit.*`.

use std::time::Duration;

use super::settings;
use crate::config::kind::Kind::{self, Bool, Integer};
use crate::config::setting::D;
use crate::config::setting::Fallback::Is;

settings! {
    /// Limits per address, account and mailbox
    RateLimits: Copy = "rate_limit" {
        /// `false` turns off every limit, also those of mailboxes. Use it for tests and benchmarks
        /// only.
        enabled: bool = "rate_limit.enabled", Bool, Is("true");
        /// The number of daemons that share the stores. While the token store is down, each daemon
        /// grants its part of the budgets.
        replicas: u32 = "rate_limit.replicas", Integer(1, 1_000), Is("1");
        /// How many writes a logged-in user has in an hour for profile, sessions, teams, projects
        /// and keys together.
        account_writes: u32 = "rate_limit.account_writes", Integer(1, 100_000), Is("120");
        /// The most records of failed logins that the token store keeps, for all daemons together;
        /// about 300 bytes each. Beyond it, accounts without a record share one back-off.
        keys_max: u32 = "rate_limit.keys_max", Integer(10_000, 1_000_000_000), Is("1000000");
    }
}

settings! {
    /// How much one user or one team may have
    Teams: Copy = "teams" {
        /// The most teams of one user. Creating or joining one more is refused.
        // Deleting an account reads each of them, one statement after the other.
        max_per_user: u64 = "teams.max_per_user", Integer(1, 1_000), Is("50");
        /// The most projects of one team.
        projects_max: u64 = "teams.projects_max", Integer(1, 100_000), Is("100");
        /// The most members of one team; open invitations count.
        members_max: u64 = "teams.members_max", Integer(1, 100_000), Is("500");
        /// The most keys of one team, over all its projects.
        keys_max: u64 = "teams.keys_max", Integer(1, 100_000), Is("200");
        /// The most invitations that one team mails in a day, and one user for all teams together.
        /// An invitation that is sent again counts again.
        invitations_per_day: u32 = "teams.invitations_per_day", Integer(1, 100_000), Is("100");
    }
}

settings! {
    /// The audit log
    Audit = "audit" {
        /// How long an event is kept.
        retention: Duration = "audit.retention", Kind::Duration(D, 4_000 * D), Is("400d");
    }
}
