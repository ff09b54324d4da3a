//! The operations of [`Store`] on sessions and mailed tokens, which are records with a MAC.
//!
//! A change reads the record, checks its MAC, decides by a rule of `rules.rs`, and replaces the
//! record if the record is still the same (compare-and-set). If another caller has changed the
//! record in the meantime, the change is decided again. So each change is one atomic step, and only
//! a daemon with the key of the MACs can make it.

use std::cmp::Reverse;

use uuid::Uuid;

use super::record_mac::Record;
use super::rules::{self, Change, Stored};
use super::types::{OneTimeToken, PutToken, Refresh, Refreshed, Session, TokenKind};
use super::{Store, keys, lost};
use crate::clock::UnixMillis;
use crate::problem::Unavailable;

/// How often a change is decided again. Each time, another change of the same record was faster, so
/// the limit is only reached if very many requests change one session at the same moment.
pub(super) const ROUNDS_MAX: u32 = 64;

/// The result of replacing a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// The record was the expected one, and is replaced.
    Now,
    /// Nothing has changed, because the store contains this record instead of the expected one.
    Found(Option<Record>),
}

impl Store {
    /// Opens a session. If the user already has [`SESSIONS_PER_USER_MAX`] sessions, the session
    /// whose last refresh is the oldest ends in the same step.
    ///
    /// [`SESSIONS_PER_USER_MAX`]: super::SESSIONS_PER_USER_MAX
    pub async fn open_session(
        &self,
        session: &Session,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let key = keys::session(session.user_id, &session.sid);
        let record = self.mac.seal(&key, &Stored::live_of(session.clone()))?;
        on!(self, it => it.open_session(session, &record, now).await)
    }

    /// Returns the session if it is active.
    pub async fn session(
        &self,
        user: Uuid,
        sid: &str,
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        let key = keys::session(user, sid);
        let Some(record) = on!(self, it => it.record(&key).await)? else { return Ok(None) };
        Ok(self.mac.open::<Stored>(&key, &record)?.and_then(|it| it.live(now)))
    }

    /// Returns the active sessions of a user, the newest first. A user has at most
    /// [`SESSIONS_PER_USER_MAX`](super::SESSIONS_PER_USER_MAX) sessions.
    pub async fn sessions(&self, user: Uuid, now: UnixMillis) -> Result<Vec<Session>, Unavailable> {
        let mut sessions = Vec::new();
        for (key, record) in on!(self, it => it.session_records(user).await)? {
            let stored: Option<Stored> = self.mac.open(&key, &record)?;
            sessions.extend(stored.and_then(|it| it.live(now)));
        }
        sessions.sort_by_cached_key(|it| (Reverse(it.created_at), it.sid.clone()));
        Ok(sessions)
    }

    /// Rotates the token of a session in one atomic step. See [`Refreshed`].
    ///
    /// After [`Refreshed::Reused`] the caller first records the end of the session in SQL, and then
    /// calls [`end_session`](Self::end_session). So if the daemon crashes between these two steps,
    /// neither the record nor the mail is lost.
    pub async fn refresh(
        &self,
        ask: &Refresh<'_>,
        now: UnixMillis,
    ) -> Result<Refreshed, Unavailable> {
        let decide = |stored| rules::refresh(stored, ask, now);
        self.change_session((ask.user_id, ask.sid), ask.seen, now, decide).await
    }

    /// Marks the current generation of a session as used, if it is the generation of `seen`, the
    /// session as the caller has read it. From then on, a use of the previous token after the grace
    /// period counts as theft.
    pub async fn mark_used(&self, seen: &Session, now: UnixMillis) -> Result<(), Unavailable> {
        self.change_session((seen.user_id, &seen.sid), Some(seen), now, |stored| match stored {
            Some(mut it)
                if it.session.generation == seen.generation && !it.session.used && !it.reused =>
            {
                it.session.used = true;
                (Some(it), ())
            }
            _ => (None, ()),
        })
        .await
    }

    /// Sets the `session_epoch` of an active session, and returns the session.
    pub async fn restamp_session(
        &self,
        user: Uuid,
        sid: &str,
        epoch: i32,
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        self.amend_session((user, sid), None, now, |session| session.epoch = epoch).await
    }

    /// Sets the team and project that an active session uses, and returns the session. `seen` is
    /// the session as the caller has read it.
    pub async fn set_session_team(
        &self,
        seen: &Session,
        team: Option<Uuid>,
        project: Option<Uuid>,
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        let change =
            |session: &mut Session| (session.team_id, session.project_id) = (team, project);
        self.amend_session((seen.user_id, &seen.sid), Some(seen), now, change).await
    }

    /// Changes the proof of an active session, and returns the session. `seen` is the session as
    /// the caller has read it.
    pub async fn set_session_proof(
        &self,
        seen: &Session,
        now: UnixMillis,
        change: impl Fn(&mut Session),
    ) -> Result<Option<Session>, Unavailable> {
        self.amend_session((seen.user_id, &seen.sid), Some(seen), now, change).await
    }

    async fn amend_session(
        &self,
        at: (Uuid, &str),
        seen: Option<&Session>,
        now: UnixMillis,
        change: impl Fn(&mut Session),
    ) -> Result<Option<Session>, Unavailable> {
        self.change_session(at, seen, now, |stored| {
            let Some(mut session) = stored.and_then(|it| it.live(now)) else {
                return (None, None);
            };
            change(&mut session);
            (Some(Stored::live_of(session.clone())), Some(session))
        })
        .await
    }

    /// Changes the record of a session as `decide` says. `seen` is the session as the caller has
    /// read it. If the store still contains it, the change needs one call to the store.
    async fn change_session<T>(
        &self,
        (user, sid): (Uuid, &str),
        seen: Option<&Session>,
        now: UnixMillis,
        decide: impl Fn(Option<Stored>) -> Change<T>,
    ) -> Result<T, Unavailable> {
        let key = keys::session(user, sid);
        // Every record except the first one comes from the store and was read by this call. Only
        // such a record can decide that nothing changes.
        let mut is_fresh = seen.is_none();
        let mut record = match seen {
            Some(seen) => Some(self.mac.seal(&key, &Stored::live_of(seen.clone()))?),
            None => on!(self, it => it.record(&key).await)?,
        };
        for _ in 0..ROUNDS_MAX {
            let stored = record.as_ref().map(|it| self.mac.open(&key, it)).transpose()?.flatten();
            match decide(stored) {
                (Some(next), result) => {
                    let sealed = self.mac.seal(&key, &next)?;
                    let expected = record.as_deref();
                    let replaced = on!(self, it => it.replace_session(&next.session, (expected, &sealed), now).await)?;
                    match replaced {
                        Replaced::Now => return Ok(result),
                        Replaced::Found(found) => record = found,
                    }
                }
                (None, result) if is_fresh => return Ok(result),
                (None, _) => record = on!(self, it => it.record(&key).await)?,
            }
            is_fresh = true;
        }
        Err(lost("a session was changed by too many requests at the same time"))
    }

    /// Stores a token. The token becomes the user's only active token of its kind. If there is an
    /// active token of a newer outbox row, nothing is stored. The token of the same row can be
    /// stored again.
    pub async fn put_token(
        &self,
        token: &OneTimeToken,
        now: UnixMillis,
    ) -> Result<PutToken, Unavailable> {
        let key = keys::token(token.user_id, token.kind);
        let sealed = self.mac.seal(&key, token)?;
        let mut record: Option<Record> = None;
        for _ in 0..ROUNDS_MAX {
            let stored = record.as_ref().map(|it| self.mac.open(&key, it)).transpose()?.flatten();
            if rules::put_token(stored.as_ref(), token, now) == PutToken::Superseded {
                return Ok(PutToken::Superseded);
            }
            let expected = record.as_deref();
            match on!(self, it => it.replace_token(token, (expected, &sealed), now).await)? {
                Replaced::Now => return Ok(PutToken::Stored),
                Replaced::Found(found) => record = found,
            }
        }
        Err(lost("a mailed token was changed by too many callers at the same time"))
    }

    /// Returns the active token with this digest.
    pub async fn find_token(
        &self,
        digest: &str,
        now: UnixMillis,
    ) -> Result<Option<OneTimeToken>, Unavailable> {
        let Some(address) = on!(self, it => it.token_address(digest).await)? else {
            return Ok(None);
        };
        let Some((user, kind)) = keys::read_token_address(&address) else {
            self.mac.refuse_values(1);
            return Ok(None);
        };
        let key = keys::token(user, kind);
        let Some(record) = on!(self, it => it.record(&key).await)? else { return Ok(None) };
        let found: Option<OneTimeToken> = self.mac.open(&key, &record)?;
        Ok(found.filter(|it| it.digest == digest && it.expires_at > now))
    }

    /// Removes a user's active token of a kind, unless the token belongs to the outbox row
    /// `keep_row`.
    pub async fn drop_token(
        &self,
        user: Uuid,
        kind: TokenKind,
        keep_row: Option<Uuid>,
    ) -> Result<(), Unavailable> {
        on!(self, it => it.drop_token(user, kind, keep_row).await)
    }
}
