//! The audit events of signing keys: published, rotated and retired.
//!
//! Each event is written to the audit stream of the installation, in the transaction of the change.
//! Two changes have no event: the creation of the first key of a kind, because this key replaces no
//! key, and the withdrawal of a published key, because this key has never signed a token.
//!
//! The audit key is read from the database for each event. There are months between two rotations,
//! so a cache would save almost nothing.

use latchkey_entity::signing_key::Model;
use sea_orm::DbErr;

use super::keys::{KeysError, Kind};
use super::stored::KeyDependencies;
use crate::audit::{self, Action, Actor, Chain, ChainError, Detail, Event, Masters, Outcome};
use crate::clock::UnixMillis;
use crate::database::Transaction;

/// The reason for a change of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The rotation is due.
    Due,
    /// An operator requested the change.
    Asked,
    /// An operator reported at this time that the key is compromised.
    Compromised(UnixMillis),
    /// The key that signs cannot be decrypted with a master key of this process.
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

    /// The time from which the tokens of the replaced key are refused. `None` if they are still
    /// accepted.
    pub(super) const fn revoked_at(self) -> Option<UnixMillis> {
        if let Self::Compromised(at) = self { Some(at) } else { None }
    }
}

/// Logs that a new key replaces a key that the master key does not decrypt. Also logs what is
/// invalid now.
pub(super) fn log_lost_key(row: &Model, kind: Kind) {
    match kind {
        Kind::User | Kind::Vault => tracing::error!(
            kid = row.id,
            kind = row.kind,
            "the master key does not decrypt this signing key: a new key replaces it, and the \
             tokens that it signed are invalid"
        ),
        Kind::Store => tracing::error!(
            kid = row.id,
            kind = row.kind,
            "the master key does not decrypt the key of the token store: a new key replaces it, and \
             the sessions and links that it authenticated are invalid"
        ),
        Kind::Factor => tracing::error!(
            kid = row.id,
            kind = row.kind,
            "the master key does not decrypt the key of second factors: a new key replaces it, and \
             the earlier authenticator apps and recovery codes are refused until a daemon starts \
             with the earlier master key"
        ),
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

/// Records events of signing keys in the audit log, with the reason of the change.
pub(super) struct KeyEventRecorder {
    chain: Chain,
    why: Why,
    now: UnixMillis,
}

impl KeyDependencies {
    /// Reads the audit key. Call this before the transaction, because the transaction holds the
    /// only SQLite connection that can write.
    pub(super) async fn recorder(&self, why: Why) -> Result<KeyEventRecorder, KeysError> {
        let masters = Masters { current: &self.master, previous: self.previous.as_ref() };
        let now = self.clock.now();
        // A new audit key may be created only if the master key was lost. In all other cases, if
        // the audit key cannot be decrypted, the daemons have another master key than this process.
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
    /// Records that a key was published. The key does not sign yet.
    pub(super) async fn published(
        &self,
        tx: &Transaction,
        kind: Kind,
        key: &str,
    ) -> Result<(), DbErr> {
        self.record(tx, Action::SigningKeyPublished, kind.name(), Detail::none().kid("kid", key))
            .await
    }

    /// Records that the key `new` signs in place of the key `old`. If the reason is that `old` is
    /// compromised, also records that `old` is retired.
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

    /// Records that tokens of a key are no longer accepted.
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
        audit::record(tx, &self.chain, &event, self.now).await.map(drop)
    }
}
