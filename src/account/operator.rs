//! The operator's commands for accounts. They run in the process of the command line, also while
//! daemons run.
//!
//! Each change is one transaction, like each use case of a user. An operator who runs a command has
//! access to the database, so these functions check no permission.

use latchkey_entity::{ended_session, membership, outbox, user};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::factor_changes;
use crate::audit::{Action, Actor, ChangeContext, Changed, Detail, Outcome};
use crate::clock::UnixMillis;
use crate::database::tenant_scope::{self, TenantScope};
use crate::database::{Db, containing};
use crate::factor::table as factors;
use crate::mail::{self, LinkKind, MailData, NewMail, NewNotice, NoticeKind};
use crate::secret::uuid_v7;
use crate::team::teams;
use crate::user::table::{self, Inserted, NewUser};
use crate::user::{EmailAddress, UserState};

/// The id or the email address by which an operator identifies an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Id(Uuid),
    Email(EmailAddress),
}

impl std::str::FromStr for Who {
    type Err = String;

    /// Reads an id or an email address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        EmailAddress::parse(text)
            .map(Self::Email)
            .map_err(|error| format!("neither the id of an account nor an email address: {error}"))
    }
}

/// Selects the accounts to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A part of the email address. Upper and lower case count as the same.
    pub search: Option<String>,
    /// Only accounts in this state.
    pub state: Option<UserState>,
    /// Only accounts whose email address is not proven.
    pub unverified: bool,
    /// Only accounts without a second factor.
    pub without_factor: bool,
}

/// Lists at most `limit` accounts, in the order of their ids, which is the order of creation. The
/// list begins after the id `after`.
pub async fn list(
    db: &Db,
    filter: &Filter,
    after: Uuid,
    limit: u64,
) -> Result<Vec<user::Model>, DbErr> {
    let mut query = user::Entity::find().filter(user::Column::Id.gt(after));
    if let Some(part) = &filter.search {
        query = query.filter(Expr::col(user::Column::EmailNormal).like(containing(part)));
    }
    if let Some(state) = filter.state {
        query = query.filter(user::Column::Status.eq(state));
    }
    if filter.unverified {
        query = query.filter(user::Column::VerifiedAt.is_null());
    }
    if filter.without_factor {
        query = query.filter(user::Column::FactorCount.eq(0));
    }
    query.order_by_asc(user::Column::Id).limit(limit).all(db.reader()).await
}

/// The account with this id or email address.
pub async fn find(db: &Db, who: &Who) -> Result<Option<user::Model>, DbErr> {
    by(who).one(db.reader()).await
}

fn by(who: &Who) -> sea_orm::Select<user::Entity> {
    match who {
        Who::Id(id) => user::Entity::find_by_id(*id),
        Who::Email(email) => {
            user::Entity::find().filter(user::Column::EmailNormal.eq(email.normal()))
        }
    }
}

/// Numbers that the command line shows for one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Mails that are not sent yet.
    pub mails_pending: u64,
    /// Sessions that were ended one by one and would otherwise still be valid.
    pub sessions_ended: u64,
    pub teams: u64,
}

pub async fn counts(db: &Db, id: Uuid, now: UnixMillis) -> Result<Counts, DbErr> {
    let pending =
        outbox::Column::UserId.eq(id).and(outbox::Column::State.eq(outbox::OutboxState::Pending));
    let ended = ended_session::Column::UserId.eq(id).and(ended_session::Column::ExpiresAt.gt(now));
    let tx = tenant_scope::read(db, TenantScope::Person(id)).await?;
    let teams =
        membership::Entity::find().filter(membership::Column::UserId.eq(id)).count(&tx).await?;
    Ok(Counts {
        mails_pending: outbox::Entity::find().filter(pending).count(db.reader()).await?,
        sessions_ended: ended_session::Entity::find().filter(ended).count(db.reader()).await?,
        teams,
    })
}

/// An account that an operator creates.
#[derive(Clone, Debug)]
pub struct NewAccount {
    pub email: EmailAddress,
    pub name: String,
    /// A PHC string. It is the hash of a password, or of random bytes that nobody knows.
    pub password_hash: String,
    /// Whether the email address counts as proven.
    pub address: Address,
    /// The mail that the user gets.
    pub mail: FirstMail,
}

/// Whether the operator declares that an email address is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// The email address counts as proven. The default team of the user is created at once.
    Verified,
    /// The user has to prove the email address.
    Unverified,
}

/// The mail that the user of a new account gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstMail {
    /// A mail with a link that sets a password and proves the email address.
    SetPassword,
    /// A mail with a link that proves the email address.
    Confirm,
    /// No mail.
    Nothing,
}

/// Result of creating an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The account is created and has this id.
    Now(Uuid),
    /// An account already has the email address.
    EmailTaken,
}

/// Creates an account and the mail for its user. If the email address counts as proven, this
/// function also creates the default team.
pub async fn create(cx: &ChangeContext<'_>, account: &NewAccount) -> Result<Created, DbErr> {
    let now = cx.now;
    let tx = cx.db.begin().await?;
    let id = uuid_v7(now);
    let verified = account.address == Address::Verified;
    let user = NewUser {
        id,
        email: account.email.clone(),
        name: account.name.clone(),
        password_hash: account.password_hash.clone(),
        state: UserState::Active,
        verified_at: verified.then_some(now),
        created_ip: String::new(),
        created_at: now,
        updated_at: now,
        factor_count: 0,
    };
    if table::insert(&tx, user.into()).await? == Inserted::EmailTaken {
        return Ok(Created::EmailTaken);
    }
    if verified {
        teams::create_default(&tx, id, &account.name, now).await?;
    }
    let kind = match account.mail {
        FirstMail::SetPassword => Some(LinkKind::Recover),
        FirstMail::Confirm => Some(LinkKind::Confirm),
        FirstMail::Nothing => None,
    };
    if let Some(kind) = kind {
        let data = MailData { at: now, password_version: Some(0), ..MailData::default() };
        let recipient = account.email.as_typed();
        let due = NewMail { user_id: id, kind, recipient, data, traceparent: "" };
        mail::enqueue(&tx, due, now).await?;
    }
    cx.record_on(&tx, Action::AccountCreated, Actor::Operator, id).await?;
    tx.commit().await?;
    Ok(Created::Now(id))
}

/// Disables or enables an account. Disabling raises the epoch. So every node refuses the account's
/// sessions at their next check, even if the token store still contains them.
pub async fn set_state(
    cx: &ChangeContext<'_>,
    who: &Who,
    state: UserState,
) -> Result<Changed, DbErr> {
    let now = cx.now;
    let tx = cx.db.begin().await?;
    let Some(person) = by(who).lock_exclusive().one(&tx).await? else { return Ok(Changed::Gone) };
    if person.status == state {
        return Ok(Changed::Already(person.id));
    }
    table::set_state(&tx, person.id, state, now).await?;
    let action = match state {
        UserState::Active => Action::AccountEnabled,
        UserState::Disabled => Action::AccountDisabled,
    };
    cx.record_on(&tx, action, Actor::Operator, person.id).await?;
    tx.commit().await?;
    Ok(Changed::Now(person.id))
}

/// Ends every session of an account.
pub async fn end_sessions(cx: &ChangeContext<'_>, who: &Who) -> Result<Changed, DbErr> {
    let now = cx.now;
    let tx = cx.db.begin().await?;
    let Some(person) = by(who).lock_exclusive().one(&tx).await? else { return Ok(Changed::Gone) };
    table::raise_epoch(&tx, person.id, now).await?;
    cx.record_on(&tx, Action::AllSessionsRevoked, Actor::Operator, person.id).await?;
    tx.commit().await?;
    Ok(Changed::Now(person.id))
}

/// Removes the second factors and the recovery codes of an account, for a user who has lost all of
/// them. Ends every session and the trust in all devices.
pub async fn reset_factors(cx: &ChangeContext<'_>, who: &Who) -> Result<Changed, DbErr> {
    let tx = cx.db.begin().await?;
    let Some(person) = by(who).lock_exclusive().one(&tx).await? else { return Ok(Changed::Gone) };
    let removed = factors::delete_all(&tx, person.id).await?;
    if removed == 0 {
        return Ok(Changed::Already(person.id));
    }
    factor_changes::count_again(cx, &tx, &person).await?;
    table::raise_epoch(&tx, person.id, cx.now).await?;
    let what = (Action::FactorsReset, Outcome::Success);
    let detail = Detail::none().number("factors", i64::try_from(removed).unwrap_or(i64::MAX));
    cx.record(&tx, what, Actor::Operator, (Some(person.id), None), detail).await?;
    let data = MailData { at: cx.now, ..MailData::default() };
    let (kind, traceparent) = (NoticeKind::FactorsReset, "");
    mail::notify(&tx, NewNotice { user_id: person.id, kind, data, traceparent }, cx.now).await?;
    tx.commit().await?;
    Ok(Changed::Now(person.id))
}

/// Counts all accounts, for a progress bar.
pub async fn count<C: ConnectionTrait>(connection: &C) -> Result<u64, DbErr> {
    user::Entity::find().count(connection).await
}

/// Records that the operator resets the limits of an email address. If the address has an account,
/// the event refers to that account.
pub async fn record_limits_reset(
    cx: &ChangeContext<'_>,
    email: &EmailAddress,
    user_id: Option<Uuid>,
) -> Result<(), DbErr> {
    let tx = cx.db.begin().await?;
    let what = (Action::LimitsReset, Outcome::Success);
    // The event identifies an email address without an account by a keyed digest, as the log does.
    let digest = cx.chain.log_name(email.normal());
    let detail = Detail::none().kid("address", &digest).personal("email", email.as_typed());
    cx.record(&tx, what, Actor::Operator, (user_id, None), detail).await?;
    tx.commit().await
}
