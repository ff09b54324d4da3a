//! The names of keys. They are the same in Redis and in the table `token_store`. They contain ids
//! and digests, but never a token or an email address.

use uuid::Uuid;

use super::types::TokenKind;

/// The prefix of all session keys of a user.
pub(super) fn session_prefix(user: Uuid) -> String {
    format!("lk:{{{user}}}:session:")
}

pub(super) fn session(user: Uuid, sid: &str) -> String {
    format!("{}{sid}", session_prefix(user))
}

/// The key of the list of a user's sessions, which is ordered by the time of each session's last
/// refresh. In the embedded store, this name is the name of the lock for the user's sessions.
pub(super) fn sessions(user: Uuid) -> String {
    format!("lk:{{{user}}}:sessions")
}

/// The key of a user's active token of a kind.
pub(super) fn token(user: Uuid, kind: TokenKind) -> String {
    format!("lk:{{{user}}}:token:{}", kind.name())
}

/// The key of the index entry by which a token is found from its digest.
pub(super) fn token_index(digest: &str) -> String {
    format!("lk:t:{digest}")
}

/// The value of an index entry. It contains the user and the kind of the token.
pub(super) fn token_address(user: Uuid, kind: TokenKind) -> String {
    format!("{user}:{}", kind.name())
}

/// Reads the user and the kind from the value that [`token_address`] writes.
pub(super) fn read_token_address(address: &[u8]) -> Option<(Uuid, TokenKind)> {
    let (user, kind) = str::from_utf8(address).ok()?.split_once(':')?;
    Some((Uuid::try_parse(user).ok()?, TokenKind::from_name(kind)?))
}

/// The key of a login that waits for the second factor.
pub(super) fn challenge(digest: &str) -> String {
    format!("lk:challenge:{digest}")
}

/// The key of the TOTP factor that a user has begun to add.
pub(super) fn enrolment(user: Uuid) -> String {
    format!("lk:{{{user}}}:enrolment")
}

/// The key of a login by passkey that has begun.
pub(super) fn passkey_login(digest: &str) -> String {
    format!("lk:passkey:{digest}")
}

/// The key of a ceremony of a passkey that a session has begun.
pub(super) fn passkey(user: Uuid, sid: &str, ceremony: &str) -> String {
    format!("lk:{{{user}}}:passkey-{ceremony}:{sid}")
}

/// The key of an entry that can be used only once.
pub(super) fn once(key: &str) -> String {
    format!("lk:once:{key}")
}

/// The key of a budget. The hash tag is the text before the first colon. So `a` and `a:captchas`
/// are on the same node of a cluster, and one script can spend from both.
pub(super) fn budget(key: &str) -> String {
    let tag = tag(key);
    format!("lk:budget:{{{tag}}}{}", &key[tag.len()..])
}

/// The hash tag in the key of a budget.
pub(super) fn tag(key: &str) -> &str {
    key.split(':').next().unwrap_or_default()
}

/// The key of the login back-off of an account, or of an email address without an account.
pub(super) fn attempts(account: &str) -> String {
    format!("lk:{{{account}}}:guesses")
}

/// The key of the entry that a probe writes to the table `token_store`.
pub(super) const PROBE: &str = "lk:probe";

/// The keys that a probe writes to Redis under one of [`PROBE_TAGS`]: a hash, a sorted set and a
/// string.
pub(super) fn probe(tag: u8) -> [String; 3] {
    ["hash", "set", "string"].map(|kind| format!("lk:{{probe-{tag}}}:{kind}"))
}

/// The hash tags of the probe's keys. The slots of a cluster are divided into 16 equal ranges, and
/// each tag has its slot in another range. The tags are in the order of these ranges. So the probe
/// reaches every node that has at least one sixteenth of the slots.
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
