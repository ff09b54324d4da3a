//! The names of keys, which are the same in Redis and in the table. They contain ids and digests,
//! never a token or an email address.

use uuid::Uuid;

use super::types::TokenKind;

/// The prefix of all session keys of a user.
pub(super) fn session_prefix(user: Uuid) -> String {
    format!("lk:{{{user}}}:s:")
}

pub(super) fn session(user: Uuid, sid: &str) -> String {
    format!("{}{sid}", session_prefix(user))
}

/// The list of a user's sessions, ordered by the time they were last seen. In the table, this name
/// is the lock for the user's sessions.
pub(super) fn sessions(user: Uuid) -> String {
    format!("lk:{{{user}}}:sessions")
}

/// The active token of a kind of a user.
pub(super) fn token(user: Uuid, kind: TokenKind) -> String {
    format!("lk:{{{user}}}:t:{}", kind.name())
}

/// The index entry that leads from a digest to its token.
pub(super) fn token_index(digest: &str) -> String {
    format!("lk:t:{digest}")
}

/// The value of an index entry: the user and the kind of the token.
pub(super) fn token_address(user: Uuid, kind: TokenKind) -> String {
    format!("{user}:{}", kind.name())
}

/// The inverse of [`token_address`].
pub(super) fn read_token_address(address: &str) -> Option<(Uuid, TokenKind)> {
    let (user, kind) = address.split_once(':')?;
    Some((Uuid::try_parse(user).ok()?, TokenKind::from_name(kind)?))
}

/// An entry that can be used once.
pub(super) fn once(key: &str) -> String {
    format!("lk:once:{key}")
}

/// A budget. The text before the first colon is the hash tag, so one script can spend both `a` and
/// `a:captchas`.
pub(super) fn budget(key: &str) -> String {
    let tag = tag(key);
    format!("lk:budget:{{{tag}}}{}", &key[tag.len()..])
}

/// The hash tag of a budget.
pub(super) fn tag(key: &str) -> &str {
    key.split(':').next().unwrap_or_default()
}

/// The login back-off of an account, or of an email address without an account.
pub(super) fn attempts(account: &str) -> String {
    format!("lk:{{{account}}}:guesses")
}

/// The entry that a probe writes to the table.
pub(super) const PROBE: &str = "lk:probe";

/// The keys that a probe writes to Redis under one of [`PROBE_TAGS`]: a hash, a sorted set and a
/// string.
pub(super) fn probe(tag: u8) -> [String; 3] {
    ["hash", "set", "string"].map(|kind| format!("lk:{{probe-{tag}}}:{kind}"))
}

/// The hash tags of the probe's keys. Each tag lies in another sixteenth of a cluster's slots, in
/// order. So the probe reaches every node that has at least a sixteenth of the slots.
pub(super) const PROBE_TAGS: [u8; 16] =
    [13, 3, 62, 40, 12, 2, 63, 41, 11, 1, 60, 42, 10, 0, 61, 43];

#[cfg(test)]
mod tests {
    use super::*;

    /// The slot of a hash tag: CRC-16/XMODEM, modulo 16384 (Redis Cluster specification).
    fn slot(tag: &str) -> u16 {
        let step = |crc: u16, byte: u8| {
            (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            })
        };
        tag.bytes().fold(0, step) % 16_384
    }

    #[test]
    fn the_probe_reaches_every_sixteenth_of_a_cluster() {
        assert_eq!(slot("123456789"), 0x31c3);
        for (part, tag) in PROBE_TAGS.into_iter().enumerate() {
            assert_eq!(usize::from(slot(&format!("probe-{tag}")) / 1024), part, "probe-{tag}");
        }
    }
}
