//! The functions by which a session worker refreshes, opens and ends sessions.

use latchkey_entity::{ended_session, user};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait as _, QuerySelect as _};
use uuid::Uuid;

use super::{EndedBy, LoginContext, Outcome as Refreshing, RefreshRequest, SessionWorker, Which};
use crate::audit::{Action, Actor, ChangeContext, Detail, Outcome};
use crate::client_key::ClientKey;
use crate::clock::{CLOCKS_APART_MAX, UnixMillis, millis};
use crate::database::batches::Expired;
use crate::database::{Db, Transaction};
use crate::factor::FactorMethod;
use crate::mail::{self, MailData, NewNotice, NoticeKind, Notified};
use crate::problem::Unavailable;
use crate::secret::random_id;
use crate::store::{Refreshed, Session};
use crate::user::table;

/// Whether this call or an earlier call wrote the row of the ended session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    New,
    Known,
}

impl SessionWorker {
    pub(super) async fn refresh(
        &self,
        cx: &ChangeContext<'_>,
        refresh: &RefreshRequest,
    ) -> Result<Refreshing, Unavailable> {
        let next_jti = random_id();
        let client = ClientKey::wide_text(&cx.origin.ip);
        let step = refresh.as_store(&next_jti, &cx.origin, &client, &self.sessions);
        Ok(match self.store.refresh(&step, cx.now).await? {
            Refreshed::Rotated(session) | Refreshed::Current(session) => {
                Refreshing::Alive(Box::new(session))
            }
            Refreshed::Recovered(session) => {
                record_recovered(cx, session.user_id).await?;
                Refreshing::Recovered(Box::new(session))
            }
            Refreshed::Reused(session) => {
                self.end_stolen(cx, &session).await?;
                Refreshing::Reused
            }
            Refreshed::Ahead | Refreshed::Gone => Refreshing::Gone,
        })
    }

    /// Ends a session whose token was stolen. The row of the ended session and the mail are written
    /// in one transaction. Then the session is deleted from the token store. Until then the store
    /// has a tombstone for the session. So if the daemon crashes between these steps, the next
    /// refresh of the session repeats them.
    async fn end_stolen(
        &self,
        cx: &ChangeContext<'_>,
        session: &Session,
    ) -> Result<(), Unavailable> {
        let now = cx.now;
        let tx = cx.db.begin().await?;
        // The user's row is locked before the rows that refer to it. The notice also locks the
        // user's row. If the user's row were locked last, two transactions that end sessions of one
        // account could block each other forever.
        user::Entity::find_by_id(session.user_id).lock(LockType::NoKeyUpdate).one(&tx).await?;
        let ending =
            write_ending(&tx, session.user_id, &session.sid, "reused", session.absolute_end, now)
                .await?;
        let user = session.user_id;
        table::end_device_trust(&tx, session.user_id, now).await?;
        if ending == Ending::New
            && notify(cx, &tx, user, NoticeKind::SessionReused).await? != Notified::Gone
        {
            let reused = (Action::ReuseDetected, Outcome::Refused);
            let whom = (Some(user), None);
            cx.record(&tx, reused, Actor::Nobody, whom, Detail::none()).await?;
        }
        tx.commit().await?;
        self.store.end_session(session.user_id, &session.sid).await
    }

    /// Opens a session and records the login in the audit. Tokens are returned to the client only
    /// after the login is recorded.
    pub(super) async fn open(
        &self,
        cx: &ChangeContext<'_>,
        session: &Session,
        context: LoginContext,
    ) -> Result<(), Unavailable> {
        self.store.open_session(session, cx.now).await?;
        if let Err(error) = record_opened(cx, session, context).await {
            // No client gets the tokens of this session. If the session cannot be deleted from the
            // store, it expires without being used.
            let _ = self.store.end_session(session.user_id, &session.sid).await;
            return Err(error.into());
        }
        Ok(())
    }

    pub(super) async fn end(
        &self,
        cx: &ChangeContext<'_>,
        user_id: Uuid,
        which: Which,
    ) -> Result<(), Unavailable> {
        let now = cx.now;
        // The epoch is raised even if the store contains no other session, because a store that
        // lost a session is perhaps restored later, and then contains this session again. The audit
        // event is written only if the store contains another session.
        let has_others = match &which {
            Which::Others { keep } => {
                let sessions = self.store.sessions(user_id, now).await?;
                sessions.iter().any(|session| session.sid != *keep)
            }
            Which::One { .. } => false,
        };
        let tx = cx.db.begin().await?;
        match which {
            Which::One { sid, reason, absolute_end } => {
                let word = reason.name();
                let ending = write_ending(&tx, user_id, &sid, word, absolute_end, now).await?;
                if ending == Ending::New {
                    let action = match reason {
                        EndedBy::Logout => Action::LoggedOut,
                        EndedBy::Revocation => Action::SessionRevoked,
                    };
                    cx.record_own(&tx, action, user_id, Detail::none()).await?;
                }
                tx.commit().await?;
                // From now on the session has ended, even if the token store still contains it,
                // because the check finds the row of the ended session.
                if let Err(error) = self.store.end_session(user_id, &sid).await {
                    tracing::warn!(
                        error = %error,
                        "cannot delete an ended session from the token store: it is invalid, and \
                         stays there until it expires"
                    );
                }
                Ok(())
            }
            Which::Others { keep } => {
                let epoch = table::next_epoch(&tx, user_id, now).await?;
                if has_others {
                    let action = Action::OtherSessionsRevoked;
                    cx.record_own(&tx, action, user_id, Detail::none()).await?;
                }
                tx.commit().await?;
                self.store.restamp_session(user_id, &keep, epoch, now).await?;
                self.store.end_sessions(user_id, Some(&keep)).await.map(drop)
            }
        }
    }
}

/// Records that the current token was sent to a holder of the previous one. If this fails, the
/// client gets 503 and tries again with the same token, so that no recovery is missing in the
/// audit.
async fn record_recovered(cx: &ChangeContext<'_>, user_id: Uuid) -> Result<(), DbErr> {
    let tx = cx.db.begin().await?;
    let recovered = (Action::SessionRecovered, Outcome::Success);
    cx.record(&tx, recovered, Actor::Nobody, (Some(user_id), None), Detail::none()).await?;
    tx.commit().await
}

/// Writes a notice about an account's sessions to the outbox.
async fn notify(
    cx: &ChangeContext<'_>,
    tx: &Transaction,
    user_id: Uuid,
    kind: NoticeKind,
) -> Result<Notified, DbErr> {
    let data = MailData::of_request(&cx.origin, cx.now);
    let notice = NewNotice { user_id, kind, data, traceparent: &cx.origin.traceparent };
    mail::notify(tx, notice, cx.now).await
}

/// Writes the audit event of a login and the user's notice, in one transaction.
async fn record_opened(
    cx: &ChangeContext<'_>,
    session: &Session,
    context: LoginContext,
) -> Result<(), DbErr> {
    let by = match session.amr.first().map(String::as_str) {
        Some("email") => "mail",
        Some("pop") => "passkey",
        _ => "password",
    };
    let mut detail = Detail::none().word("by", by);
    for method in [FactorMethod::Totp, FactorMethod::Passkey, FactorMethod::RecoveryCode] {
        if session.amr.iter().skip(1).any(|amr| amr == method.amr()) {
            detail = detail.word("factor", method.name());
        }
    }
    let user = session.user_id;
    let tx = cx.db.begin().await?;
    // The user's row is locked before the audit's row. Every transaction uses this order.
    if context.first {
        table::set_logged_in(&tx, user).await?;
    }
    if context.new_device {
        notify(cx, &tx, user, NoticeKind::NewDevice).await?;
    }
    cx.record_own(&tx, Action::LoggedIn, user, detail).await?;
    tx.commit().await
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

/// Deletes the records of ended sessions that would have expired by now on every replica. Returns
/// their number. Until then a session that is restored from a backup of the token store must stay
/// ended.
pub async fn sweep_ended(db: &Db, now: UnixMillis) -> Result<u64, DbErr> {
    let ended = Expired { table: "ended_sessions", key: "sid", condition: "expires_at < $1" };
    ended.delete(db, now - millis(CLOCKS_APART_MAX)).await
}
