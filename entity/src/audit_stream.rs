//! The table `audit_streams`: the chains of audit events. There is one for each team, one for each
//! user, and one for the installation.

use sea_orm::entity::prelude::*;

/// One chain. A seal authenticates each of its two ends.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_streams")]
pub struct Model {
    /// The id. It does not reveal whose stream it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// `team`, `person` or `installation`.
    pub kind: String,
    /// The team. It stays when the team is deleted.
    pub team_id: Option<Uuid>,
    /// The user. Null once the user is deleted.
    pub user_id: Option<Uuid>,
    /// The number of the last event, or 0 before the first one.
    pub head_seq: i64,
    /// When the last event was written.
    pub head_at: i64,
    /// The last event's `mac`.
    pub head_mac: Vec<u8>,
    /// The id of the audit key that computed `head_seal`.
    pub head_key: String,
    /// Authenticates the head.
    pub head_seal: Vec<u8>,
    /// The number of the last event that retention removed, or 0 if it removed none.
    pub base_seq: i64,
    /// That event's `mac`, which the first remaining event is chained to.
    pub base_mac: Vec<u8>,
    /// The id of the audit key that computed `base_seal`.
    pub base_key: String,
    /// Authenticates the base.
    pub base_seal: Vec<u8>,
    pub created_at: i64,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
