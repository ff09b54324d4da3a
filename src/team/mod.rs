//! Teams, memberships, invitations, projects and project keys, with the permissions of each role.
//!
//! The table of what a role may do is only in [`roles`]. All data of a team is read and changed in
//! a transaction inside that team's [tenant scope](crate::database::tenant_scope). PostgreSQL shows
//! this transaction no rows of other teams, even if a query lacks a filter. Each change locks the
//! team and reads the caller's role again. So the change is refused if the caller has lost the
//! permission since the check of the request.

mod change;
pub mod invitations;
pub mod joining;
pub mod key_text;
pub mod keys;
pub mod members;
pub mod operator;
pub mod projects;
pub mod roles;
pub mod slug;
pub mod teams;

use sea_orm::DbErr;
use uuid::Uuid;

use crate::admission::InvitationLimit;

pub use latchkey_entity::team::TeamState;
pub use roles::{Permission, Role};
pub use slug::Slug;

/// A member who acts in a team. The check of the member's session has found the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    pub team_id: Uuid,
    pub user_id: Uuid,
}

/// Why a change in a team is refused.
#[derive(Debug)]
pub enum Refusal {
    /// The object does not exist, or this user is not allowed to see it. The response is the same
    /// in both cases.
    NotFound,
    /// The user is a member of the team, but the user's role does not allow the change.
    Forbidden,
    /// The operator has disabled the team. Members can only read, leave and delete a disabled team.
    TeamDisabled,
    /// The team requires a second factor, and the user's session has none.
    FactorRequired,
    /// The current state of the team does not allow the change. The text is a sentence for the
    /// response.
    Conflict(String),
    /// A mailed link is unknown, no longer valid or expired.
    LinkInvalid,
    /// The invitation is for another email address than the user's.
    OtherAddress,
    /// To confirm a deletion, the client sent a name that is not the name of the team or project.
    OtherName,
    /// A budget for invitations is used up or cannot be read.
    Limited(InvitationLimit),
    /// The database fails.
    Unavailable(DbErr),
}

impl From<InvitationLimit> for Refusal {
    fn from(limited: InvitationLimit) -> Self {
        Self::Limited(limited)
    }
}

impl From<DbErr> for Refusal {
    fn from(error: DbErr) -> Self {
        Self::Unavailable(error)
    }
}
