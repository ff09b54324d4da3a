//! The rows of the outbox: the data of a mail, its token, and writing a row.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_entity::outbox::{ActiveModel, Column, Entity, OutboxState};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::audit::RequestOrigin;
use crate::clock::UnixMillis;
use crate::mail::{Kind, LinkKind, Locale};
use crate::secret::{self, Secret};

/// The data for the text of a mail. The row stores it as a JSON object. It never contains a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailData {
    #[serde(default)]
    pub locale: Locale,
    /// The time of the event that the mail reports.
    pub at: UnixMillis,
    /// The IP address of the client that caused the event. If this text is not an IP address, the
    /// mail does not show it.
    #[serde(default)]
    pub ip: String,
    /// The client's `User-Agent`. A mail never shows this text as it is, because the client chose
    /// it.
    #[serde(default)]
    pub user_agent: String,
    /// The name of the user. A mail shows the name only if the recipient's email address is
    /// verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For [`Kind::Recover`]: the `password_version` at the time of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_version: Option<i32>,
    /// For [`Kind::ChangeEmail`] and [`Kind::EmailChangeNotice`]: the id of the change of address.
    /// For [`Kind::FirstFactorAdded`]: the id of the row of the first factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_id: Option<Uuid>,
    /// For [`Kind::EmailChangeNotice`]: the email address after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_email: Option<String>,
    /// For [`Kind::Invitation`]: the email address of the user who invites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inviter: Option<String>,
    /// For [`Kind::Invitation`]: the name of the team. A mail shows this name only if no mail
    /// program would turn it into a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// For [`Kind::Invitation`]: the name of the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// For [`Kind::RecoveryCodeUsed`]: how many recovery codes the user can still use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codes_left: Option<u32>,
    /// How many events a notice reports. Both 0 and 1 mean one event.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub times: u32,
}

impl MailData {
    /// The data about a request that every mail about this request contains.
    pub fn of_request(origin: &RequestOrigin, now: UnixMillis) -> Self {
        Self {
            at: now,
            ip: origin.ip.clone(),
            user_agent: origin.user_agent.clone(),
            locale: origin.accept_language.parse().unwrap_or_default(),
            ..Self::default()
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A mail that a client asked for, and that is due now.
#[derive(Clone, Debug)]
pub struct NewMail<'a> {
    /// The user that the mail is about. Deleting the user deletes the mail.
    pub user_id: Uuid,
    pub kind: LinkKind,
    /// The recipient: a stored address, never one from the text of a request.
    pub recipient: &'a str,
    pub data: MailData,
    /// The trace of the request that caused the mail (W3C `traceparent`), or empty.
    pub traceparent: &'a str,
}

/// Writes the outbox row of a mail in the caller's transaction and returns the row's id.
pub async fn enqueue<C: ConnectionTrait>(
    tx: &C,
    mail: NewMail<'_>,
    now: UnixMillis,
) -> Result<Uuid, DbErr> {
    let NewMail { user_id, kind, recipient, data, traceparent } = mail;
    let row = NewRow { user_id, kind: kind.into(), recipient, data, traceparent, due_at: now };
    insert(tx, row, now).await
}

/// A row of the outbox: a mail that a client asked for, or a notice.
#[derive(Clone, Debug)]
pub(super) struct NewRow<'a> {
    pub user_id: Uuid,
    pub kind: Kind,
    pub recipient: &'a str,
    pub data: MailData,
    pub traceparent: &'a str,
    /// When the mail is due. If this time is in the future, the mail counts as waiting only from
    /// then on.
    pub due_at: UnixMillis,
}

/// Writes a row in the caller's transaction and returns its id.
///
/// If the mail carries a token, the row replaces the user's pending rows of the same kind. The id
/// of the row is greater than the ids of all the user's rows of that kind, even if the clocks of
/// replicas differ. The token store treats the row with the greater id as the newer row.
pub(super) async fn insert<C: ConnectionTrait>(
    tx: &C,
    mail: NewRow<'_>,
    now: UnixMillis,
) -> Result<Uuid, DbErr> {
    let mut id = secret::uuid_v7(now);
    let same = || {
        Entity::find()
            .filter(Column::UserId.eq(mail.user_id))
            .filter(Column::Kind.eq(mail.kind.name()))
    };
    if mail.kind.token().is_some() {
        let newest: Option<Uuid> = same()
            .select_only()
            .column(Column::Id)
            .order_by_desc(Column::Id)
            .limit(1)
            .into_tuple()
            .one(tx)
            .await?;
        if let Some(newest) = newest.filter(|newest| *newest >= id) {
            id = secret::uuid_v7(made_at(newest) + 1);
        }
        Entity::update_many()
            .col_expr(Column::State, Expr::value(OutboxState::Superseded))
            .filter(Column::UserId.eq(mail.user_id))
            .filter(Column::Kind.eq(mail.kind.name()))
            .filter(Column::State.eq(OutboxState::Pending))
            .exec(tx)
            .await?;
    }
    let data = serde_json::to_string(&mail.data).map_err(|error| DbErr::Json(error.to_string()))?;
    let row = ActiveModel {
        id: Set(id),
        user_id: Set(mail.user_id),
        kind: Set(mail.kind.name().to_owned()),
        recipient: Set(mail.recipient.to_owned()),
        data: Set(data),
        state: Set(OutboxState::Pending),
        attempts: Set(0),
        due_at: Set(mail.due_at),
        leased_until: Set(0),
        traceparent: Set(mail.traceparent.to_owned()),
        last_error: Set(None),
        created_at: Set(mail.due_at),
        sent_at: Set(None),
    };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(id)
}

/// Deletes the mails to an email address that have not been sent, whichever user they are about.
/// This function is called when the account of this email address is deleted. `normal` is the
/// normal form of the address, and `typed` are the forms in which it was typed.
pub async fn withdraw<C: ConnectionTrait>(
    tx: &C,
    normal: &str,
    typed: impl IntoIterator<Item = String>,
) -> Result<(), DbErr> {
    let as_typed = Column::Recipient.is_in(typed);
    let lower = Func::lower(Expr::col(Column::Recipient)).eq(normal);
    Entity::delete_many()
        // This is a literal, because the partial index is not used with a bound parameter.
        .filter(Expr::cust("state = 'pending'"))
        .filter(as_typed.or(lower))
        .exec(tx)
        .await
        .map(drop)
}

/// The token of a row: HMAC-SHA-256 of kind, recipient and row id. Its 256 bits are written as 43
/// characters of base64url. `key` is the key `"mail-token"`, derived from the master key.
pub fn mailed_token(
    key: &Secret<[u8; 32]>,
    kind: Kind,
    recipient: &str,
    row_id: Uuid,
) -> Secret<String> {
    // No kind and no address contains a NUL, and the id has a fixed length. So no two rows give the
    // same bytes.
    let mut said = Vec::with_capacity(64 + recipient.len());
    said.extend_from_slice(kind.name().as_bytes());
    said.push(0);
    said.extend_from_slice(recipient.as_bytes());
    said.push(0);
    said.extend_from_slice(row_id.as_bytes());
    Secret::new(URL_SAFE_NO_PAD.encode(secret::hmac_sha256(key.expose(), &said)))
}

/// The time in a UUID version 7 (RFC 9562 §5.7): its first 48 bits.
fn made_at(id: Uuid) -> UnixMillis {
    id.as_bytes()[..6].iter().fold(0, |millis, byte| millis << 8 | i64::from(*byte))
}
