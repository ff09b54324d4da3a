//! The rows of the outbox: the data of a mail, its token, and the writing of a row.

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

/// What the words of a mail need; kept as a JSON object in the row. Never a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailData {
    /// In which language.
    #[serde(default)]
    pub locale: Locale,
    /// When what it tells of happened.
    pub at: UnixMillis,
    /// The IP address it happened from; anything else is not shown.
    #[serde(default)]
    pub ip: String,
    /// The `User-Agent` it happened with; never shown as it is, since whoever sent it chose it.
    #[serde(default)]
    pub user_agent: String,
    /// What the person is called. Shown to verified addresses only, whatever stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// [`Kind::Recover`] needs it: the `password_version` that it was asked under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_version: Option<i32>,
    /// [`Kind::ChangeEmail`] and [`Kind::EmailChangeNotice`] need it: the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_id: Option<Uuid>,
    /// [`Kind::EmailChangeNotice`] needs it: the address after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_email: Option<String>,
    /// [`Kind::Invitation`] needs it: the address of who invites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inviter: Option<String>,
    /// [`Kind::Invitation`] needs it: what the team is called. Shown where no mail program makes a link of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// [`Kind::Invitation`] needs it: the role's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How many events a notice stands for; 0 and 1 are both one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub times: u32,
}

impl MailData {
    /// What every mail of a request says.
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

/// A mail that someone asked for, and that is due now.
#[derive(Clone, Debug)]
pub struct NewMail<'a> {
    /// Whom it is about; deleting the person deletes the mail.
    pub user_id: Uuid,
    /// Which mail.
    pub kind: LinkKind,
    /// Where it goes: an address that is stored, never one that a request spelled.
    pub recipient: &'a str,
    /// What its words need.
    pub data: MailData,
    /// The trace of the request that made it due (W3C `traceparent`), or empty.
    pub traceparent: &'a str,
}

/// Writes the outbox row of a mail that someone asked for in the caller's transaction and returns the row's id.
pub async fn enqueue<C: ConnectionTrait>(
    tx: &C,
    mail: NewMail<'_>,
    now: UnixMillis,
) -> Result<Uuid, DbErr> {
    let NewMail { user_id, kind, recipient, data, traceparent } = mail;
    let row = NewRow { user_id, kind: kind.into(), recipient, data, traceparent, due_at: now };
    insert(tx, row, now).await
}

/// A row of the outbox: a mail that someone asked for, or a notice.
#[derive(Clone, Debug)]
pub(super) struct NewRow<'a> {
    pub user_id: Uuid,
    pub kind: Kind,
    pub recipient: &'a str,
    pub data: MailData,
    pub traceparent: &'a str,
    /// When it leaves. A row that is due later than now counts from then on as waiting.
    pub due_at: UnixMillis,
}

/// Writes a row in the caller's transaction and returns its id. Where the mail carries a token, the row takes
/// the place of the person's pending ones of its kind, and its id is greater than all of theirs, though replicas'
/// clocks differ: the token store takes the greater id for the newer.
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

/// Deletes the mails to an address that have not left, whoever they are about: nobody reads it any more. `normal` is its
/// normal form, `typed` are the ways in which it was typed.
pub async fn withdraw<C: ConnectionTrait>(
    tx: &C,
    normal: &str,
    typed: impl IntoIterator<Item = String>,
) -> Result<(), DbErr> {
    let as_typed = Column::Recipient.is_in(typed);
    let lower = Func::lower(Expr::col(Column::Recipient)).eq(normal);
    Entity::delete_many()
        // As a literal: a bound parameter would not meet the partial index.
        .filter(Expr::cust("state = 'pending'"))
        .filter(as_typed.or(lower))
        .exec(tx)
        .await
        .map(drop)
}

/// The token of a row: HMAC-SHA-256 over kind, recipient and row, 256 bits as 43 characters of base64url. `key` is the
/// master key's `"mail-token"`.
pub fn mailed_token(
    key: &Secret<[u8; 32]>,
    kind: Kind,
    recipient: &str,
    row_id: Uuid,
) -> Secret<String> {
    // No kind and no address holds a NUL, and the id is of fixed length: no two rows give the same bytes.
    let mut said = Vec::with_capacity(64 + recipient.len());
    said.extend_from_slice(kind.name().as_bytes());
    said.push(0);
    said.extend_from_slice(recipient.as_bytes());
    said.push(0);
    said.extend_from_slice(row_id.as_bytes());
    Secret::new(URL_SAFE_NO_PAD.encode(secret::hmac_sha256(key.expose(), &said)))
}

/// The moment in a UUID version 7 (RFC 9562 §5.7): its first 48 bits.
fn made_at(id: Uuid) -> UnixMillis {
    id.as_bytes()[..6].iter().fold(0, |millis, byte| millis << 8 | i64::from(*byte))
}
