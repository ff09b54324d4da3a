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

/// A budget. What stands before the first colon is the hash tag: `a` and `a:captchas` can be spent by one script.
pub(super) fn budget(key: &str) -> String {
    let tag = tag(key);
    format!("lk:budget:{{{tag}}}{}", &key[tag.len()..])
}

/// The hash tag of a budget.
pub(super) fn tag(key: &str) -> &str {
    key.split(':').next().unwrap_or_default()
}

/// The login back-off of an account, or of an address without one.
pub(super) fn attempts(account: &str) -> String {
    format!("lk:{{{account}}}:guesses")
}

/// The entry that a probe writes into the table.
pub(super) const PROBE: &str = "lk:probe";

/// The keys that a probe writes into Redis, under one of [`PROBE_TAGS`]: a hash, a sorted set, a string.
pub(super) fn probe(tag: u8) -> [String; 3] {
    ["hash", "set", "string"].map(|kind| format!("lk:{{probe-{tag}}}:{kind}"))
}

/// Tags of the probe's keys. Each lies in another sixteenth of a cluster's slots, in their order, so that a node with a
/// sixteenth of them or more is not missed.
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
