//! Pure functions that encode rows and the ends of streams, and compute their MACs.
//!
//! An encoding is a list of fields. Each field begins with a byte that says whether the field has a
//! value. If it has a value, the length of the value and the value follow. The number and the order
//! of the fields are fixed for each purpose. So two different rows never have the same encoding.

use latchkey_entity::audit_stream::Model;
use latchkey_entity::{audit_event, audit_identity, audit_stream};
use uuid::Uuid;

use crate::secret::{hmac_sha256, sha256_of};

/// The value that takes the place of the previous row's `mac` for the first row of a stream.
pub const GENESIS: [u8; 32] = [0; 32];

/// One end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The head: the last row of the stream.
    Head,
    /// The base: the last row that retention has deleted.
    Base,
}

/// A position in a stream, with all values that the seal of an end covers.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub stream_id: Uuid,
    /// The kind of the stream.
    pub kind: &'a str,
    /// The team of the stream.
    pub team_id: Option<Uuid>,
    /// The user of the stream. None after the user was deleted.
    pub user_id: Option<Uuid>,
    /// How many identities of the stream were deleted with their accounts. 0 if the position is a
    /// base.
    pub erased: i64,
    /// The row's number.
    pub seq: i64,
    /// When the row was written. 0 if the position is a base.
    pub at: i64,
    /// The row's `mac`.
    pub mac: &'a [u8],
    /// The name of the audit key that seals the position.
    pub key_id: &'a str,
}

/// The encoded fields, one after the other.
#[derive(Debug, Default)]
struct Encoding(Vec<u8>);

impl Encoding {
    fn new(purpose: &str) -> Self {
        Self::default().field(Some(purpose.as_bytes()))
    }

    fn field(mut self, value: Option<&[u8]>) -> Self {
        match value {
            None => self.0.push(0),
            Some(bytes) => {
                self.0.push(1);
                self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
                self.0.extend_from_slice(bytes);
            }
        }
        self
    }

    fn text(self, value: &str) -> Self {
        self.field(Some(value.as_bytes()))
    }

    fn number(self, value: i64) -> Self {
        self.field(Some(&value.to_be_bytes()))
    }
}

/// The bytes that a row's `mac` covers. They contain the `mac` of the row before, and every column
/// of the row except its own `mac`.
pub fn encode_event(previous: &[u8], row: &audit_event::Model) -> Vec<u8> {
    Encoding::new("latchkey audit event 1")
        .field(Some(previous))
        .field(Some(row.id.as_bytes()))
        .field(Some(row.stream_id.as_bytes()))
        .number(row.seq)
        .number(row.at)
        .text(&row.action)
        .text(&row.outcome)
        .text(&row.actor_kind)
        .text(&row.trace_id)
        .field(row.actor_commitment.as_deref())
        .field(row.subject_commitment.as_deref())
        .text(&row.detail)
        .text(&row.key_id)
        .0
}

/// The bytes that the seal of an end covers.
pub fn encode_end(end: End, place: &Place<'_>) -> Vec<u8> {
    let purpose = match end {
        End::Head => "latchkey audit head 1",
        End::Base => "latchkey audit base 1",
    };
    Encoding::new(purpose)
        .field(Some(place.stream_id.as_bytes()))
        .text(place.kind)
        .field(place.team_id.as_ref().map(|id| id.as_bytes().as_slice()))
        .field(place.user_id.as_ref().map(|id| id.as_bytes().as_slice()))
        .number(place.erased)
        .number(place.seq)
        .number(place.at)
        .field(Some(place.mac))
        .text(place.key_id)
        .0
}

/// The `mac` of a row. `previous` is the `mac` of the row before.
pub fn event_mac(key: &[u8; 32], previous: &[u8], row: &audit_event::Model) -> [u8; 32] {
    hmac_sha256(key, &encode_event(previous, row))
}

pub fn end_seal(key: &[u8; 32], end: End, place: &Place<'_>) -> [u8; 32] {
    hmac_sha256(key, &encode_end(end, place))
}

/// The MAC that becomes a name in the token store. See [`Chain::name`](super::Chain::name).
pub fn name_mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let start = Encoding::new("latchkey audit name 1");
    hmac_sha256(key, &parts.iter().fold(start, |all, part| all.field(Some(part))).0)
}

/// Derives the seed of the key that signs checkpoints. See [`checkpoint`](super::checkpoint).
pub fn checkpoint_seed(key: &[u8; 32]) -> [u8; 32] {
    hmac_sha256(key, &Encoding::new("latchkey audit heads 1").0)
}

/// The commitment to an identity: the SHA-256 of the salt, which has 32 bytes, followed by the
/// body.
pub fn commitment(salt: &[u8], body: &str) -> [u8; 32] {
    sha256_of(&[salt, body.as_bytes()].concat())
}

/// The commitment to a stored identity.
pub fn commitment_of(row: &audit_identity::Model) -> [u8; 32] {
    commitment(&row.salt, &row.body)
}

/// How many identities the daemon wrote for these rows.
pub fn identities_of(rows: &[audit_event::Model]) -> i64 {
    let of_row = |row: &audit_event::Model| {
        i64::from(row.actor_commitment.is_some()) + i64::from(row.subject_commitment.is_some())
    };
    rows.iter().map(of_row).sum()
}

/// The position of an end of a stored stream, with the values that its seal covers.
pub fn place(stream: &audit_stream::Model, end: End) -> Place<'_> {
    let (seq, at, mac, key_id, erased) = match end {
        End::Head => {
            let Model { head_seq, head_at, head_mac, head_key, erased, .. } = stream;
            (*head_seq, *head_at, head_mac, head_key, *erased)
        }
        End::Base => (stream.base_seq, 0, &stream.base_mac, &stream.base_key, 0),
    };
    Place {
        stream_id: stream.id,
        kind: &stream.kind,
        team_id: stream.team_id,
        user_id: stream.user_id,
        erased,
        seq,
        at,
        mac,
        key_id,
    }
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
