//! Teams, memberships, invitations, projects and project keys, with the permissions in them.
//!
//! [`roles`] is the one table of what a role may do. All data of a team is read and changed in a
//! transaction inside that team's [tenant scope](crate::database::tenant_scope). PostgreSQL shows
//! such a transaction no other rows, even if a query lacks a filter. Each change locks the team and
//! reads the caller's role again, so that the permission still holds when the change is made.

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

/// A member who acts in a team. The check of the session has found the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    pub team_id: Uuid,
    pub user_id: Uuid,
}

/// Why a change in a team is refused.
#[derive(Debug)]
pub enum Refusal {
    /// It does not exist, or this user may not see it. The response does not show which.
    NotFound,
    /// The user is a member, but the member's role does not allow it.
    Forbidden,
    /// The operator has disabled the team. It can only be read, left and deleted.
    TeamDisabled,
    /// The current state does not allow it. The sentence is for the client.
    Conflict(String),
    /// A mailed link is unknown, no longer valid or expired.
    LinkInvalid,
    /// The invitation is for another address than the user's.
    OtherAddress,
    /// The client sent another name than that of the team or project to delete.
    OtherName,
    /// A budget of invitations is used up, or cannot be read.
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
