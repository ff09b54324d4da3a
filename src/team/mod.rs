//! Teams, memberships, invitations and projects: who may do what, where.
//!
//! What a role may do is one table ([`roles`]). Everything of a team is read and changed in a transaction that stands
//! inside that team ([tenant scope](crate::database::tenant_scope)): PostgreSQL shows it no other rows, whatever a query forgets. Each change locks the team
//! and reads the caller's role again, so that what was checked still holds when it is done.

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

/// Somebody who acts in a team: a member, as the session's check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    pub team_id: Uuid,
    pub user_id: Uuid,
}

/// Why a change of a team was not made.
#[derive(Debug)]
pub enum Refusal {
    /// It is not there, or not for this person: nobody can tell which.
    NotFound,
    /// The person is a member, and may not.
    Forbidden,
    /// The operator has disabled the team: it can be looked at, left and deleted.
    TeamDisabled,
    /// The state of things forbids it; the sentence is for the client.
    Conflict(String),
    /// A mailed link is unknown, void or expired.
    LinkInvalid,
    /// An invitation is for another address than the person's.
    OtherAddress,
    /// What is to be deleted has another name than the one that was sent.
    OtherName,
    /// A budget of invitations is spent, or cannot be read.
    Limited(InvitationLimit),
    /// The database does not answer.
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
