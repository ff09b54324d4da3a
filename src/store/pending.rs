//! Short-lived records: logins that wait for the second factor, factors that wait for their
//! confirmation, and ceremonies of passkeys. Each record has a MAC, like a session.
//!
//! A change reads the record, decides, and replaces the record if it is still the same. So if N
//! calls run in parallel, the result is the same as with N calls one after the other.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::record_mac::Record;
use super::records::{ROUNDS_MAX, Replaced};
use super::{Store, keys, lost};
use crate::clock::UnixMillis;
use crate::problem::Unavailable;

/// The identity of a short-lived record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingKey {
    /// A login that waits for the second factor. The record is found by the SHA-256 of the
    /// challenge that the client got.
    Challenge(String),
    /// The TOTP factor that a user has begun to add. A user has at most one.
    Enrolment(Uuid),
    /// A login by passkey that has begun. The record is found like a challenge.
    PasskeyLogin(String),
    /// A passkey that a session has begun to add. A session has at most one.
    PasskeyEnrolment(Uuid, String),
    /// A step-up by passkey that a session has begun. A session has at most one.
    PasskeyStepUp(Uuid, String),
}

impl PendingKey {
    fn key(&self) -> String {
        match self {
            Self::Challenge(digest) => keys::challenge(digest),
            Self::Enrolment(user) => keys::enrolment(*user),
            Self::PasskeyLogin(digest) => keys::passkey_login(digest),
            Self::PasskeyEnrolment(user, sid) => keys::passkey(*user, sid, "enrolment"),
            Self::PasskeyStepUp(user, sid) => keys::passkey(*user, sid, "step-up"),
        }
    }

    /// The value of the column `owner` in the embedded store.
    fn owner(&self) -> String {
        match self {
            Self::Challenge(_) | Self::PasskeyLogin(_) => String::new(),
            Self::Enrolment(user)
            | Self::PasskeyEnrolment(user, _)
            | Self::PasskeyStepUp(user, _) => user.to_string(),
        }
    }
}

/// A short-lived record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending<T> {
    /// None if the record has ended before its time.
    pub value: Option<T>,
    /// The record counts as deleted from this time on.
    pub expires_at: UnixMillis,
}

/// The result of a decision about a record.
#[derive(Clone, Debug)]
pub enum Change<T> {
    /// The record stays as it is.
    Keep,
    /// The record gets this value.
    Set(T),
    /// The record ends.
    End,
}

impl Store {
    /// Writes a record. It replaces an earlier record with the same key.
    pub async fn put_pending<T: Serialize>(
        &self,
        key: &PendingKey,
        pending: &Pending<T>,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let mut expected: Option<Record> = None;
        for _ in 0..ROUNDS_MAX {
            match self.replace_pending(key, expected.as_deref(), pending, now).await? {
                Replaced::Now => return Ok(()),
                Replaced::Found(found) => expected = found,
            }
        }
        Err(lost("a record was written by too many requests at the same time"))
    }

    /// The record's value, if the record has neither ended nor expired.
    pub async fn pending<T: DeserializeOwned>(
        &self,
        key: &PendingKey,
        now: UnixMillis,
    ) -> Result<Option<Pending<T>>, Unavailable> {
        let record = on!(self, it => it.record(&key.key()).await)?;
        self.read_pending(key, record.as_ref(), now)
    }

    /// Changes a record as `decide` says. `decide` gets the record's value, or none if the record
    /// has ended, has expired or does not exist. In this case it must return [`Change::Keep`].
    pub async fn change_pending<T: Serialize + DeserializeOwned, R>(
        &self,
        key: &PendingKey,
        now: UnixMillis,
        decide: impl Fn(Option<&T>) -> (Change<T>, R),
    ) -> Result<R, Unavailable> {
        let mut record = on!(self, it => it.record(&key.key()).await)?;
        for _ in 0..ROUNDS_MAX {
            let found: Option<Pending<T>> = self.read_pending(key, record.as_ref(), now)?;
            let (change, result) = decide(found.as_ref().and_then(|it| it.value.as_ref()));
            let value = match change {
                Change::Keep => return Ok(result),
                Change::Set(value) => Some(value),
                Change::End => None,
            };
            let Some(Pending { expires_at, .. }) = found else { return Ok(result) };
            let next = Pending { value, expires_at };
            match self.replace_pending(key, record.as_deref(), &next, now).await? {
                Replaced::Now => return Ok(result),
                Replaced::Found(found) => record = found,
            }
        }
        Err(lost("a record was changed by too many requests at the same time"))
    }

    fn read_pending<T: DeserializeOwned>(
        &self,
        key: &PendingKey,
        record: Option<&Record>,
        now: UnixMillis,
    ) -> Result<Option<Pending<T>>, Unavailable> {
        let Some(record) = record else { return Ok(None) };
        let found: Option<Pending<T>> = self.mac.open(&key.key(), record)?;
        Ok(found.filter(|it| it.expires_at > now && it.value.is_some()))
    }

    async fn replace_pending<T: Serialize>(
        &self,
        key: &PendingKey,
        expected: Option<&[u8]>,
        next: &Pending<T>,
        now: UnixMillis,
    ) -> Result<Replaced, Unavailable> {
        let names = (key.key(), key.owner());
        let sealed = self.mac.seal(&names.0, next)?;
        let records = (expected, sealed.as_slice());
        let (names, until) = ((names.0.as_str(), names.1.as_str()), next.expires_at);
        on!(self, it => it.replace_pending(names, records, until, now).await)
    }
}
