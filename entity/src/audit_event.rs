//! `audit_events`: what happened, a row an event, append-only, without anything personal.

use sea_orm::entity::prelude::*;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    /// The event.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its chain.
    pub stream_id: Uuid,
    /// Its place there, from 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: i64,
    /// What: `account.registered`, …
    pub action: String,
    /// `success` or `refused`.
    pub outcome: String,
    /// Who, as far as it is not personal: `person`, `project-key`, `operator`, `system` or `nobody`.
    pub actor_kind: String,
    /// The trace of the request: 32 hexadecimal digits, or empty.
    pub trace_id: String,
    /// SHA-256 of the actor's identity row: salt, then body.
    pub actor_commitment: Option<Vec<u8>>,
    /// The same of the subject's.
    pub subject_commitment: Option<Vec<u8>>,
    /// A JSON object of ids, words and numbers.
    pub detail: String,
    /// The key of `mac`.
    pub key_id: String,
    /// HMAC-SHA-256 over the `mac` before it and every column above.
    pub mac: Vec<u8>,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
