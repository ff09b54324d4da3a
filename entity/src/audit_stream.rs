//! `audit_streams`: the chains of audit rows: one for each team, one for each person, one for the installation.

use sea_orm::entity::prelude::*;

/// A chain, with both of its ends sealed.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_streams")]
pub struct Model {
    /// The stream; says nothing of whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// `team`, `person` or `installation`.
    pub kind: String,
    /// The team; stays when the team is gone.
    pub team_id: Option<Uuid>,
    /// The person; null once the person is deleted.
    pub user_id: Option<Uuid>,
    /// The number of the last row; 0 where there was none yet.
    pub head_seq: i64,
    /// When the last row was written.
    pub head_at: i64,
    /// The last row's `mac`.
    pub head_mac: Vec<u8>,
    /// The key of `head_seal`.
    pub head_key: String,
    /// Authenticates the head.
    pub head_seal: Vec<u8>,
    /// The number of the last row that retention removed; 0 where it removed none.
    pub base_seq: i64,
    /// That row's `mac`: what the first row that is left was chained to.
    pub base_mac: Vec<u8>,
    /// The key of `base_seal`.
    pub base_key: String,
    /// Authenticates the base.
    pub base_seal: Vec<u8>,
    /// When the stream was made.
    pub created_at: i64,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
