//! What the session worker does, message by message.

use latchkey_entity::{ended_session, user};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};
use uuid::Uuid;

use super::{Arrival, Keeper, Outcome as Refreshing, RefreshRequest, Which};
use crate::audit::RequestOrigin;
use crate::audit::{self, Action, Actor, Detail, Event, Outcome};
use crate::clock::UnixMillis;
use crate::database::Transaction;
use crate::mail::{self, MailData, NewNotice, NoticeKind, Notified};
use crate::problem::Unavailable;
use crate::secret::random_id;
use crate::store::{Refreshed, Session};
use crate::user::table;

/// Whether this call wrote the ending, or it had been written before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    New,
    Known,
}

impl Keeper {
    pub(super) async fn refresh(
        &self,
        refresh: &RefreshRequest,
    ) -> Result<Refreshing, Unavailable> {
        let next_jti = random_id();
        let step = refresh.as_store(&next_jti, &self.sessions);
        Ok(match self.store.refresh(&step, self.clock.now()).await? {
            Refreshed::Rotated(session) | Refreshed::Current(session) => {
                Refreshing::Alive(Box::new(session))
            }
            Refreshed::Reused(session) => {
                self.end_stolen(&session, refresh).await?;
                Refreshing::Reused
            }
            Refreshed::Ahead | Refreshed::Gone => Refreshing::Gone,
        })
    }

    /// Ends a session whose token was stolen: the ending and the mail in one transaction, then the store. The store keeps
    /// a tombstone until then, so that a crash in between loses neither.
    async fn end_stolen(
        &self,
        session: &Session,
        refresh: &RefreshRequest,
    ) -> Result<(), Unavailable> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        // The account's row before rows that refer to it: the notice locks it too, and two endings of one account would
        // wait for each other.
        user::Entity::find_by_id(session.user_id).lock(LockType::NoKeyUpdate).one(&tx).await?;
        let ending =
            write_ending(&tx, session.user_id, &session.sid, "reused", session.absolute_end, now)
                .await?;
        let (who, origin) = (session.user_id, &refresh.origin);
        if ending == Ending::New
            && self.notify(&tx, who, NoticeKind::SessionReused, origin).await? != Notified::Gone
        {
            let reused = (Action::ReuseDetected, Outcome::Refused);
            self.tell(&tx, reused, Actor::Nobody, who, Detail::none(), origin).await?;
        }
        tx.commit().await?;
        self.store.end_session(session.user_id, &session.sid).await
    }

    /// Makes a notice about an account's sessions due.
    async fn notify(
        &self,
        tx: &Transaction,
        user_id: Uuid,
        kind: NoticeKind,
        origin: &RequestOrigin,
    ) -> Result<Notified, DbErr> {
        let now = self.clock.now();
        let (data, traceparent) = (MailData::of_request(origin, now), origin.traceparent.as_str());
        mail::notify(tx, NewNotice { user_id, kind, data, traceparent }, now).await
    }

    /// Opens a session and tells the audit: whoever gets tokens has been written down.
    pub(super) async fn open(
        &self,
        session: &Session,
        arrival: Arrival,
        origin: &RequestOrigin,
    ) -> Result<(), Unavailable> {
        self.store.open_session(session, self.clock.now()).await?;
        if let Err(error) = self.tell_opened(session, arrival, origin).await {
            // Its tokens are given to nobody. Left in the store it would expire unused.
            let _ = self.store.end_session(session.user_id, &session.sid).await;
            return Err(error.into());
        }
        Ok(())
    }

    /// The event and the person's notice, in one transaction: none without the other.
    async fn tell_opened(
        &self,
        session: &Session,
        arrival: Arrival,
        origin: &RequestOrigin,
    ) -> Result<(), DbErr> {
        let by_mail = session.amr.iter().any(|amr| amr == "email");
        let detail = Detail::none().word("by", if by_mail { "mail" } else { "password" });
        let (what, who) = ((Action::LoggedIn, Outcome::Success), session.user_id);
        let tx = self.db.begin().await?;
        // The person's row before the audit's: everybody locks them in this order.
        if arrival.first {
            table::set_logged_in(&tx, who).await?;
        }
        if arrival.new_device {
            self.notify(&tx, who, NoticeKind::NewDevice, origin).await?;
        }
        self.tell(&tx, what, Actor::Person(who), who, detail, origin).await?;
        tx.commit().await
    }

    /// Records an event of a person's account.
    pub(super) async fn tell(
        &self,
        tx: &Transaction,
        (action, outcome): (Action, Outcome),
        actor: Actor,
        subject: Uuid,
        detail: Detail,
        origin: &RequestOrigin,
    ) -> Result<(), DbErr> {
        let subject = Some(subject);
        let event = Event { action, outcome, actor, subject, team: None, detail, origin };
        audit::record(tx, &self.audit, &event, self.clock.now()).await
    }

    pub(super) async fn revoke(
        &self,
        user_id: Uuid,
        which: Which,
        origin: &RequestOrigin,
    ) -> Result<(), Unavailable> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        let done = |action| (action, Outcome::Success);
        match which {
            Which::One { sid, reason, absolute_end } => {
                let ending = write_ending(&tx, user_id, &sid, reason, absolute_end, now).await?;
                if ending == Ending::New {
                    let left = reason == "logout";
                    let what = done(if left { Action::LoggedOut } else { Action::SessionRevoked });
                    let who = Actor::Person(user_id);
                    self.tell(&tx, what, who, user_id, Detail::none(), origin).await?;
                }
                tx.commit().await?;
                // From here on it is ended, whatever the store does: its row is refused by the check.
                if let Err(error) = self.store.end_session(user_id, &sid).await {
                    tracing::warn!(error = %error, "an ended session stays in the token store until it expires");
                }
                Ok(())
            }
            Which::Others { keep } => {
                let epoch = table::next_epoch(&tx, user_id, now).await?;
                let (what, who) = (done(Action::OtherSessionsRevoked), Actor::Person(user_id));
                self.tell(&tx, what, who, user_id, Detail::none(), origin).await?;
                tx.commit().await?;
                self.store.restamp_session(user_id, &keep, epoch, now).await?;
                self.store.end_sessions(user_id, Some(&keep)).await.map(drop)
            }
        }
    }
}

async fn write_ending<C: ConnectionTrait>(
    connection: &C,
    user_id: Uuid,
    sid: &str,
    reason: &str,
    absolute_end: UnixMillis,
    now: UnixMillis,
) -> Result<Ending, DbErr> {
    let row = ended_session::ActiveModel {
        sid: Set(sid.to_owned()),
        user_id: Set(user_id),
        reason: Set(reason.to_owned()),
        ended_at: Set(now),
        expires_at: Set(absolute_end),
    };
    let written = ended_session::Entity::insert(row)
        .on_conflict(OnConflict::column(ended_session::Column::Sid).do_nothing().to_owned())
        .exec_without_returning(connection)
        .await?;
    Ok(if written == 1 { Ending::New } else { Ending::Known })
}

/// Forgets endings of sessions that would have ended anyway.
pub async fn sweep_endings(db: &crate::database::Db, now: UnixMillis) -> Result<u64, DbErr> {
    let swept = ended_session::Entity::delete_many()
        .filter(ended_session::Column::ExpiresAt.lt(now))
        .exec(db.writer())
        .await?;
    Ok(swept.rows_affected)
}
