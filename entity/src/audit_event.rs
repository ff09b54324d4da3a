//! The table `audit_events`: one row for each event. Rows are only appended, and contain no
//! personal data.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The stream whose chain the event belongs to.
    pub stream_id: Uuid,
    /// The event's position in its stream: from 1 on, without gaps.
    pub seq: i64,
    /// When the event happened.
    pub at: i64,
    /// What happened: `account.registered`, …
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
    /// The same over the subject's row.
    pub subject_commitment: Option<Vec<u8>>,
    /// A JSON object of ids, words and numbers.
    pub detail: String,
    /// The id of the audit key that computed `mac`.
    pub key_id: String,
    /// HMAC-SHA-256 over the previous event's `mac` and every column above.
    pub mac: Vec<u8>,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
