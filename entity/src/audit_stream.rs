//! The table `audit_streams`: the chains of audit events. Each team has one stream, each user has
//! one stream, and the installation has one stream.

use sea_orm::entity::prelude::*;

/// One chain of events. A seal authenticates each of the two ends of the chain, the head and the
/// base.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_streams")]
pub struct Model {
    /// The id of the stream. The id does not reveal to which team or user the stream belongs.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// `team`, `person` or `installation`.
    pub kind: String,
    /// The id of the team. This value stays when the team is deleted.
    pub team_id: Option<Uuid>,
    /// The id of the user. Null after the user is deleted.
    pub user_id: Option<Uuid>,
    /// The number of the last event, or 0 if the stream has no event yet.
    pub head_seq: i64,
    /// When the last event was written.
    pub head_at: i64,
    /// The `mac` of the last event.
    pub head_mac: Vec<u8>,
    /// The id of the audit key that computed `head_seal`.
    pub head_key: String,
    /// The seal that authenticates the head.
    pub head_seal: Vec<u8>,
    /// The number of the last event that retention removed, or 0 if retention removed no event.
    pub base_seq: i64,
    /// The `mac` of the last removed event. The `mac` of the first remaining event was computed
    /// with it.
    pub base_mac: Vec<u8>,
    /// The id of the audit key that computed `base_seal`.
    pub base_key: String,
    /// The seal that authenticates the base.
    pub base_seal: Vec<u8>,
    /// How many identities of the remaining events were deleted together with their accounts.
    pub erased: i64,
    pub created_at: i64,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
