//! The table `outbox`: mails that are due, sent or given up.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// The state of a mail.
    OutboxState, unknown Superseded {
        /// It waits, or a worker is delivering it.
        Pending = "pending",
        /// The mail server accepted it.
        Sent = "sent",
        /// A newer mail replaced it, or it is no longer needed.
        Superseded = "superseded",
        /// Its delivery was given up.
        Dead = "dead",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// The mail's id. Its Message-ID and its token are derived from it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The user that the mail is about. Deleting the user deletes the row.
    pub user_id: Uuid,
    /// The kind of mail: `confirm`, `recover`, `password-changed`, …
    pub kind: String,
    pub recipient: String,
    /// The values for the template, as a JSON object. Never contains a secret.
    pub data: String,
    pub state: OutboxState,
    /// How many deliveries were refused because of this mail itself.
    pub attempts: i32,
    /// The mail is not sent before this time.
    pub due_at: i64,
    /// A worker has claimed the mail until this time; 0 if none has.
    pub leased_until: i64,
    /// The trace of the request that caused the mail (W3C `traceparent`).
    pub traceparent: String,
    /// The last refusal, without email addresses.
    pub last_error: Option<String>,
    /// When the mail was created. For a postponed notice, when it is first due.
    pub created_at: i64,
    /// When the mail server accepted it.
    pub sent_at: Option<i64>,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
