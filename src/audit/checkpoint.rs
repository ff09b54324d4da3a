//! Checkpoints: signed statements about the heads of streams, which are stored outside the
//! database. A comparison with them shows whether the whole database was replaced by an earlier
//! copy.
//!
//! A head states that at some time the last row of a stream had a certain number and a certain
//! `mac`. A checkpoint is a JWS that contains many heads. It has a `typ` of its own, so that no
//! access token is accepted as a checkpoint and no checkpoint is accepted as an access token.
//!
//! The key that signs a checkpoint is derived from the audit key that authenticates rows at that
//! time. The keys that sign tokens are not suitable, because they are deleted minutes after they
//! are retired, and checkpoints are stored for years. Audit keys are never deleted, and they are
//! sealed again when the master key is replaced. Separate keys for checkpoints would have no
//! benefit: a checkpoint is compared with rows, and the rows need the audit keys for the same time.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_entity::{audit_event, audit_stream};
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::Chain;
use super::checkpoint_jws as jws;
use super::keys::Keys;
use super::seal::{self, End};
use super::verify::{Finding, Kind, Sink};
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::secret::{KeyError, Secret};

/// The maximum number of heads in one JWS. A JWS with this many heads has about 10 KB, which every
/// log collector accepts as one line.
pub const HEADS_PER_CHECKPOINT: usize = 50;

/// The head of a stream at some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub stream: Uuid,
    /// The number of the last row.
    pub seq: i64,
    /// When the last row was written.
    pub at: UnixMillis,
    /// The `mac` of the last row, in base64url.
    pub mac: String,
}

/// The claims of one checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The setting `tokens.issuer`.
    pub iss: String,
    /// The time of the signature, in seconds since 1970 (NumericDate, RFC 7519 §2).
    pub iat: i64,
    pub heads: Vec<Head>,
}

impl From<&audit_stream::Model> for Head {
    fn from(stream: &audit_stream::Model) -> Self {
        let place = seal::place(stream, End::Head);
        Self {
            stream: stream.id,
            seq: place.seq,
            at: place.at,
            mac: URL_SAFE_NO_PAD.encode(place.mac),
        }
    }
}

/// Returns a page of heads in the order of the stream ids. It contains streams whose last row was
/// written at `since` or later, and whose id is greater than `after`.
///
/// # Errors
/// The database's error.
pub async fn page(db: &Db, since: UnixMillis, after: Uuid) -> Result<Vec<Head>, DbErr> {
    page_where(db, audit_stream::Column::HeadAt.gte(since), after).await
}

/// Does the same as [`page`] for streams that fulfil a condition.
pub(super) async fn page_where(
    db: &Db,
    is_wanted: SimpleExpr,
    after: Uuid,
) -> Result<Vec<Head>, DbErr> {
    let streams = audit_stream::Entity::find()
        .filter(is_wanted)
        .filter(audit_stream::Column::Id.gt(after))
        .order_by_asc(audit_stream::Column::Id)
        .limit(HEADS_PER_CHECKPOINT as u64)
        .all(db.reader())
        .await?;
    Ok(streams.iter().map(Head::from).collect())
}

/// Signs heads, and returns the JWS.
///
/// # Errors
/// [`KeyError`] if the key cannot sign.
pub fn sign(
    chain: &Chain,
    issuer: &str,
    now_seconds: i64,
    heads: Vec<Head>,
) -> Result<String, KeyError> {
    let claims = Claims { iss: issuer.to_owned(), iat: now_seconds, heads };
    jws::sign(chain.key_id(), &chain.checkpoint_seed(), &claims)
}

/// Verifies and reads a checkpoint. Returns None if the text is not a checkpoint, or if no key that
/// is derived from a known audit key has signed it.
pub fn open(keys: &Keys, token: &str) -> Option<Claims> {
    let seed_of = |kid: &str| {
        let key = keys.get(kid)?;
        Some(Secret::new(seal::checkpoint_seed(key.expose())))
    };
    jws::open(keys.ids(), seed_of, token)
}

/// The public key that verifies current checkpoints, as a JWK.
///
/// # Errors
/// [`KeyError`] if the key cannot be used.
pub fn public_key(chain: &Chain) -> Result<serde_json::Value, KeyError> {
    jws::public_key(chain.key_id(), &chain.checkpoint_seed())
}

/// Returns the time at which the newest row of all streams was written. Returns None if there is no
/// stream.
///
/// # Errors
/// The database's error.
pub async fn latest(db: &Db) -> Result<Option<UnixMillis>, DbErr> {
    audit_stream::Entity::find()
        .select_only()
        .column_as(audit_stream::Column::HeadAt.max(), "latest")
        .into_tuple()
        .one(db.reader())
        .await
        .map(Option::flatten)
}

/// Returns the JWSs in a line of the operator's file of checkpoints, which can be an export, a log
/// or a list of JWSs. A damaged JWS is returned too. It is an empty text if nothing of it is found.
pub fn tokens_in(line: &str) -> Vec<String> {
    if let Ok(members) = serde_json::from_str::<serde_json::Map<String, Value>>(line) {
        if let Some(heads) = members.get("heads") {
            return vec![heads.as_str().unwrap_or_default().to_owned()];
        }
        // The line is an event of an export. Its texts come from clients.
        if members.contains_key("mac") {
            return Vec::new();
        }
    }
    let words: Vec<String> = line
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .filter(|word| word.starts_with("eyJ") && word.contains('.'))
        .map(str::to_owned)
        .collect();
    let is_announced = line.starts_with("{\"heads\"") || line.contains("audit heads");
    if words.is_empty() && is_announced { vec![String::new()] } else { words }
}

/// Compares a head with the database. A missing stream is correct only if the head's row is older
/// than `kept_from`, because then retention has perhaps deleted the stream.
///
/// # Errors
/// The database's error.
pub async fn compare(
    db: &Db,
    head: &Head,
    kept_from: UnixMillis,
    sink: &mut Sink<'_>,
) -> Result<(), DbErr> {
    let mut tell = |kind, what: String| {
        sink(Finding { stream: head.stream, seq: Some(head.seq), kind, what });
    };
    let Some(stream) = audit_stream::Entity::find_by_id(head.stream).one(db.reader()).await? else {
        if head.at >= kept_from {
            tell(Kind::Missing, "the stream of an exported head is missing".to_owned());
        }
        return Ok(());
    };
    if head.seq > stream.head_seq {
        let what = format!(
            "the head of the stream was at this row, and is now at row {}",
            stream.head_seq
        );
        tell(Kind::Truncated, what);
        return Ok(());
    }
    let mac = match head.seq.cmp(&stream.base_seq) {
        Ordering::Equal => Some(stream.base_mac),
        Ordering::Less => {
            if head.at >= kept_from {
                tell(Kind::Missing, "the row was deleted before its retention ended".to_owned());
            }
            return Ok(());
        }
        Ordering::Greater => audit_event::Entity::find()
            .filter(audit_event::Column::StreamId.eq(head.stream))
            .filter(audit_event::Column::Seq.eq(head.seq))
            .one(db.reader())
            .await?
            .map(|row| row.mac),
    };
    match mac.map(|mac| URL_SAFE_NO_PAD.encode(mac)) {
        None => tell(Kind::Missing, "the row of an exported head is missing".to_owned()),
        Some(mac) if mac != head.mac => {
            tell(Kind::Altered, "the row is not the one that an exported head names".to_owned());
        }
        Some(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_checkpoints_in_a_file_are_not_passed_over() {
        for (line, expected) in [
            ("", &[][..]),
            ("some text", &[]),
            (r#"{"heads":"eyJa.eyJb.c","key":{}}"#, &["eyJa.eyJb.c"]),
            (r#"{"message":"audit heads","heads":"eyJa.eyJb.c"}"#, &["eyJa.eyJb.c"]),
            (r#"{"log":"{\"message\":\"audit heads\",\"heads\":\"eyJa.b.c\"}"}"#, &["eyJa.b.c"]),
            ("INFO audit heads heads=eyJa.eyJb.c", &["eyJa.eyJb.c"]),
            ("eyJa.eyJb.c, eyJd.e.f", &["eyJa.eyJb.c", "eyJd.e.f"]),
            (r#"{"heads":"xyJa.eyJb.c"}"#, &["xyJa.eyJb.c"]),
            (r#"{"heads":"ey Ja.eyJb.c"}"#, &["ey Ja.eyJb.c"]),
            (r#"{"heads":""}"#, &[""]),
            (r#"{"heads":null}"#, &[""]),
            (r#"{"message":"audit heads","count":1}"#, &[""]),
            (r#"{"heads":"eyJa.eyJ"#, &["eyJa.eyJ"]),
            (r#"{"heads":"eyJa"#, &[""]),
            (r#"{"mac":"m","actor":{"userAgent":"audit heads eyJa.b.c"}}"#, &[]),
            (r#"{"mac":"m","detail":{"heads":[{"seq":1}]}}"#, &[]),
        ] {
            assert_eq!(tokens_in(line), expected, "{line}");
        }
    }
}
