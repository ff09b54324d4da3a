//! The names of keys, the same in Redis and in the table. They carry ids and digests, never a token or an address.

use uuid::Uuid;

use super::types::TokenKind;

/// What every session key of a user begins with.
pub(super) fn session_prefix(user: Uuid) -> String {
    format!("lk:{{{user}}}:s:")
}

/// One session.
pub(super) fn session(user: Uuid, sid: &str) -> String {
    format!("{}{sid}", session_prefix(user))
}

/// The list of a user's sessions, by when they were last seen; also the lock that guards them in the table.
pub(super) fn sessions(user: Uuid) -> String {
    format!("lk:{{{user}}}:sessions")
}

/// A user's live token of a kind.
pub(super) fn token(user: Uuid, kind: TokenKind) -> String {
    format!("lk:{{{user}}}:t:{}", kind.name())
}

/// Where a token is found by its digest.
pub(super) fn token_index(digest: &str) -> String {
    format!("lk:t:{digest}")
}

/// What the index holds: where to look.
pub(super) fn token_address(user: Uuid, kind: TokenKind) -> String {
    format!("{user}:{}", kind.name())
}

/// The inverse of [`token_address`].
pub(super) fn read_token_address(address: &str) -> Option<(Uuid, TokenKind)> {
    let (user, kind) = address.split_once(':')?;
    Some((Uuid::try_parse(user).ok()?, TokenKind::from_name(kind)?))
}

/// Something that can be spent once.
pub(super) fn once(key: &str) -> String {
    format!("lk:once:{key}")
}

/// A budget.
pub(super) fn budget(key: &str) -> String {
    format!("lk:budget:{key}")
}

/// What is known of an account's failures, whether there is an account or not.
pub(super) fn guesses(account: &str) -> String {
    format!("lk:{{{account}}}:guesses")
}

/// What is known of one source's failures at an account: on the same node of a cluster.
pub(super) fn guesses_of(account: &str, source: &str) -> String {
    format!("lk:{{{account}}}:guesses:{source}")
}
