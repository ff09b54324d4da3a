//! [`Desk`]: what each transaction of this room works with, and how it tells the audit.

use sea_orm::DbErr;
use uuid::Uuid;

use crate::audit::{self, Action, Actor, Chain, Detail, Event, Outcome, RequestOrigin};
use crate::clock::UnixMillis;
use crate::database::{Db, Transaction};

/// The database, the audit and the present, for one job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Desk<'a> {
    pub db: &'a Db,
    pub audit: &'a Chain,
    pub now: UnixMillis,
}

impl Desk<'_> {
    /// A person did something to their own account.
    pub async fn own(
        &self,
        tx: &Transaction,
        action: Action,
        person: Uuid,
        detail: Detail,
        origin: &RequestOrigin,
    ) -> Result<(), DbErr> {
        let actor = Actor::Person(person);
        self.record(tx, action, actor, (Some(person), None), detail, origin).await
    }

    /// Somebody else did something to a person's account.
    pub async fn on(
        &self,
        tx: &Transaction,
        action: Action,
        actor: Actor,
        subject: Uuid,
        origin: &RequestOrigin,
    ) -> Result<(), DbErr> {
        self.record(tx, action, actor, (Some(subject), None), Detail::none(), origin).await
    }

    /// Somebody did something in a team.
    pub async fn in_team(
        &self,
        tx: &Transaction,
        action: Action,
        actor: Actor,
        team: Uuid,
        detail: Detail,
        origin: &RequestOrigin,
    ) -> Result<(), DbErr> {
        self.record(tx, action, actor, (None, Some(team)), detail, origin).await
    }

    async fn record(
        &self,
        tx: &Transaction,
        action: Action,
        actor: Actor,
        (subject, team): (Option<Uuid>, Option<Uuid>),
        detail: Detail,
        origin: &RequestOrigin,
    ) -> Result<(), DbErr> {
        let outcome = Outcome::Success;
        let event = Event { action, outcome, actor, subject, team, detail, origin };
        audit::record(tx, self.audit, &event, self.now).await
    }
}
