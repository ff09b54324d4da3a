//! [`ChangeContext`]: the values that every change of data needs, and the methods that record the
//! change's event.

use sea_orm::DbErr;
use uuid::Uuid;

use super::{Action, Actor, Chain, Detail, Event, Outcome, RequestOrigin};
use crate::clock::UnixMillis;
use crate::database::{Db, Transaction};

/// The database, the audit, the client of the request and the time of a change.
#[derive(Clone, Debug)]
pub struct ChangeContext<'a> {
    pub db: &'a Db,
    pub chain: &'a Chain,
    /// The client of the request.
    pub origin: RequestOrigin,
    /// The time of the change.
    pub now: UnixMillis,
}

impl ChangeContext<'_> {
    /// Records that a user changed their own account.
    pub async fn record_own(
        &self,
        tx: &Transaction,
        action: Action,
        user: Uuid,
        detail: Detail,
    ) -> Result<(), DbErr> {
        let actor = Actor::Person(user);
        self.record(tx, (action, Outcome::Success), actor, (Some(user), None), detail).await
    }

    /// Records that another actor changed a user's account.
    pub async fn record_on(
        &self,
        tx: &Transaction,
        action: Action,
        actor: Actor,
        subject: Uuid,
    ) -> Result<(), DbErr> {
        let whom = (Some(subject), None);
        self.record(tx, (action, Outcome::Success), actor, whom, Detail::none()).await
    }

    /// Records a change in a team.
    pub async fn record_in_team(
        &self,
        tx: &Transaction,
        action: Action,
        actor: Actor,
        team: Uuid,
        detail: Detail,
    ) -> Result<(), DbErr> {
        self.record(tx, (action, Outcome::Success), actor, (None, Some(team)), detail).await
    }

    /// Records an event in the transaction `tx` of its change.
    pub async fn record(
        &self,
        tx: &Transaction,
        (action, outcome): (Action, Outcome),
        actor: Actor,
        (subject, team): (Option<Uuid>, Option<Uuid>),
        detail: Detail,
    ) -> Result<(), DbErr> {
        let event = Event { action, outcome, actor, subject, team, detail, origin: &self.origin };
        super::record(tx, self.chain, &event, self.now).await.map(drop)
    }
}

/// The result when an operator changes an account or a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The account or team with this id was changed.
    Now(Uuid),
    /// The account or team with this id already had this state.
    Already(Uuid),
    /// There is no such account or team.
    Gone,
}
