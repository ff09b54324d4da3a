//! The table `audit_events`: one row for each event. A row is never changed, and contains no
//! personal data.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The audit stream to which the event belongs.
    pub stream_id: Uuid,
    /// The event's position in its stream. The positions begin with 1 and have no gaps.
    pub seq: i64,
    /// When the event happened.
    pub at: i64,
    /// What happened, for example `account.registered`.
    pub action: String,
    /// `success` or `refused`.
    pub outcome: String,
    /// The kind of actor, which is not personal data: `person`, `project-key`, `operator`, `system`
    /// or `nobody`.
    pub actor_kind: String,
    /// The trace id of the request: 32 hexadecimal digits, or empty.
    pub trace_id: String,
    /// SHA-256 over the actor's row in `audit_identities`: its salt, then its body.
    pub actor_commitment: Option<Vec<u8>>,
    /// SHA-256 over the subject's row in `audit_identities`: its salt, then its body.
    pub subject_commitment: Option<Vec<u8>>,
    /// A JSON object whose values are ids, words and numbers.
    pub detail: String,
    /// The id of the audit key that computed `mac`.
    pub key_id: String,
    /// HMAC-SHA-256 over the `mac` of the event before this event in the stream, and over every
    /// column above.
    pub mac: Vec<u8>,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
