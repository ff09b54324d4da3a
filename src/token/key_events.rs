//! What the audit is told of signing keys: published, taken over, stopped verifying. In the transaction of the change, in the
//! installation's stream. The first key of a kind takes over from none, and a published key that is taken back never signed:
//! neither is an event.
//!
//! The audit's key is read anew for each: rotations are months apart.

use sea_orm::DbErr;

use super::keys::{KeysError, Kind};
use super::stored::KeyDependencies;
use crate::audit::{self, Action, Actor, Chain, ChainError, Detail, Event, Masters, Outcome};
use crate::clock::UnixMillis;
use crate::database::Transaction;

/// Why a key is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is time.
    Due,
    /// An operator asks.
    Asked,
    /// An operator says that the key is in other hands, since this moment.
    Compromised(UnixMillis),
    /// No master key of ours opens the key that signs.
    Lost,
}

impl Why {
    const fn actor(self) -> Actor {
        match self {
            Self::Due | Self::Lost => Actor::System,
            Self::Asked | Self::Compromised(_) => Actor::Operator,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Asked => "asked",
            Self::Compromised(_) => "compromised",
            Self::Lost => "lost",
        }
    }

    /// From when on the key that goes verifies nothing; none where it verifies on.
    pub(super) const fn revoked_at(self) -> Option<UnixMillis> {
        if let Self::Compromised(at) = self { Some(at) } else { None }
    }
}

impl From<ChainError> for KeysError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Database(error) => error.into(),
            ChainError::Key(error) => error.into(),
            ChainError::Sealed => Self::SealedAudit,
        }
    }
}

/// The audit, and why it is told.
pub(super) struct KeyEventRecorder {
    chain: Chain,
    why: Why,
    now: UnixMillis,
}

impl KeyDependencies {
    /// Reads the audit's key: before the transaction, which has SQLite's one connection for writing.
    pub(super) async fn recorder(&self, why: Why) -> Result<KeyEventRecorder, KeysError> {
        let masters = Masters { current: &self.master, previous: self.previous.as_ref() };
        let now = self.clock.now();
        // Only who takes their own master key for the only one there is may put another audit key in place.
        let chain = match why {
            Why::Lost => Chain::load(&self.db, masters, now).await?,
            Why::Due | Why::Asked | Why::Compromised(_) => {
                Chain::join(&self.db, masters, now).await?
            }
        };
        let chain = match &self.metrics {
            Some(metrics) => chain.counting(metrics.clone()),
            None => chain,
        };
        Ok(KeyEventRecorder { chain, why, now })
    }
}

impl KeyEventRecorder {
    /// A key was published, to sign next.
    pub(super) async fn published(
        &self,
        tx: &Transaction,
        kind: Kind,
        key: &str,
    ) -> Result<(), DbErr> {
        self.record(tx, Action::SigningKeyPublished, kind.name(), Detail::none().kid("kid", key))
            .await
    }

    /// One key signs in place of another, which is called compromised or verifies on.
    pub(super) async fn rotated(
        &self,
        tx: &Transaction,
        kind: Kind,
        (old, new): (&str, &str),
    ) -> Result<(), DbErr> {
        let detail = Detail::none().kid("kid", new).kid("before", old);
        self.record(tx, Action::SigningKeyRotated, kind.name(), detail).await?;
        match self.why {
            Why::Compromised(_) => self.retired(tx, kind, old).await,
            Why::Due | Why::Asked | Why::Lost => Ok(()),
        }
    }

    /// A key verifies nothing any more.
    pub(super) async fn retired(
        &self,
        tx: &Transaction,
        kind: Kind,
        key: &str,
    ) -> Result<(), DbErr> {
        self.record(tx, Action::SigningKeyRetired, kind.name(), Detail::none().kid("kid", key))
            .await
    }

    async fn record(
        &self,
        tx: &Transaction,
        action: Action,
        kind: &'static str,
        detail: Detail,
    ) -> Result<(), DbErr> {
        let event = Event {
            action,
            outcome: Outcome::Success,
            actor: self.why.actor(),
            subject: None,
            team: None,
            detail: detail.word("kind", kind).word("reason", self.why.word()),
            origin: &audit::RequestOrigin::none(),
        };
        audit::record(tx, &self.chain, &event, self.now).await
    }
}
