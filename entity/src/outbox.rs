//! The table `outbox`: mails that wait for their delivery, mails that were sent, and mails whose
//! delivery has failed.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// The state of a mail.
    OutboxState, unknown Superseded {
        /// The mail waits for its delivery, or a worker is delivering it.
        Pending = "pending",
        /// The mail server accepted the mail.
        Sent = "sent",
        /// A newer mail replaced this mail, or this mail is no longer needed.
        Superseded = "superseded",
        /// The delivery has failed, and latchkey does not try it again.
        Dead = "dead",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// The mail's id. The Message-ID of the mail and the token in the mail are derived from this
    /// id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The user whom the mail concerns. When the user is deleted, the row is also deleted.
    pub user_id: Uuid,
    /// The kind of mail, for example `confirm`, `recover` or `password-changed`.
    pub kind: String,
    pub recipient: String,
    /// The values for the mail template, as a JSON object. They never contain a secret.
    pub data: String,
    pub state: OutboxState,
    /// How many times the mail server refused the mail for a reason that concerns only this mail.
    pub attempts: i32,
    /// The mail is not sent before this time.
    pub due_at: i64,
    /// Until this time the mail is reserved for the worker that delivers it. 0 if it is reserved
    /// for no worker.
    pub leased_until: i64,
    /// The trace of the request that created the mail (W3C `traceparent`).
    pub traceparent: String,
    /// The text of the last refusal by the mail server, without email addresses.
    pub last_error: Option<String>,
    /// When the mail was created. For a postponed notice, this is the time when the notice is first
    /// due.
    pub created_at: i64,
    /// When the mail server accepted the mail. Null if it has not accepted the mail.
    pub sent_at: Option<i64>,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
