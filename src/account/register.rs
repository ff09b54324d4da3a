//! Registration and the proof of an email address, each in one transaction.
//!
//! If N calls run in parallel, the database decides which call succeeds: by the unique email
//! address, by `verified_at IS NULL`, or by the version of the password. So the result is the same
//! with one daemon and with ten daemons. After a crash, either the whole change is in the database
//! or nothing of it.

use sea_orm::DbErr;
use uuid::Uuid;

use super::change;
use crate::audit::{Action, Actor, ChangeContext, Detail};
use crate::database::Transaction;
use crate::mail::{self, LinkKind, MailData, NewMail};
use crate::secret::uuid_v7;
use crate::session::AccountStatus;
use crate::team::teams;
use crate::user::table::{self, Inserted, NewUser};
use crate::user::{EmailAddress, User, UserState};

#[derive(Clone, Debug)]
pub struct Registration {
    pub email: EmailAddress,
    pub name: String,
    /// A PHC string.
    pub password_hash: String,
}

/// Result of a registration.
#[derive(Clone, Debug)]
pub enum Registered {
    /// The account is created with this status, and its confirmation mail is in the outbox.
    Now(Box<AccountStatus>),
    /// An account already has the email address.
    EmailTaken,
}

/// Result of proving an email address, of mailing its confirmation again, or of rejecting the
/// account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The call has succeeded.
    Now,
    /// The email address was proven before.
    Already,
    /// The account no longer exists or is disabled.
    Gone,
}

/// Result of mailing a confirmation again.
pub(super) enum Resent {
    /// The mail is in the outbox, in this row.
    Due(Uuid),
    AlreadyVerified,
    Gone,
}

/// Creates an account and its confirmation mail.
pub(super) async fn register(
    cx: &ChangeContext<'_>,
    registration: Registration,
) -> Result<Registered, DbErr> {
    let now = cx.now;
    let Registration { email, name, password_hash } = registration;
    let user = User::from(NewUser {
        id: uuid_v7(now),
        email,
        name,
        password_hash,
        state: UserState::Active,
        verified_at: None,
        created_ip: cx.origin.ip.clone(),
        created_at: now,
        updated_at: now,
        factor_count: 0,
    });
    let tx = cx.db.begin().await?;
    if table::insert(&tx, user.clone()).await? == Inserted::EmailTaken {
        return Ok(Registered::EmailTaken);
    }
    confirm_mail(cx, &tx, &user, MailData::of_request(&cx.origin, now)).await?;
    let detail = Detail::none().personal("email", user.email.as_str());
    cx.record_own(&tx, Action::Registered, user.id, detail).await?;
    tx.commit().await?;
    Ok(Registered::Now(Box::new(AccountStatus::of_new(user))))
}

/// Writes the confirmation mail. The mail does not contain the name of the user, because perhaps
/// another person registered the address and chose the name.
async fn confirm_mail(
    cx: &ChangeContext<'_>,
    tx: &Transaction,
    user: &User,
    data: MailData,
) -> Result<Uuid, DbErr> {
    let mail = NewMail {
        user_id: user.id,
        kind: LinkKind::Confirm,
        recipient: &user.email,
        data,
        traceparent: &cx.origin.traceparent,
    };
    mail::enqueue(tx, mail, cx.now).await
}

pub(super) async fn resend(cx: &ChangeContext<'_>, user_id: Uuid) -> Result<Resent, DbErr> {
    let tx = cx.db.begin().await?;
    let Some(person) = table::lock(&tx, user_id).await? else { return Ok(Resent::Gone) };
    if person.verified_at.is_some() {
        return Ok(Resent::AlreadyVerified);
    }
    // The mail shows the time and the IP address of the registration, not the time and the IP
    // address of this request.
    let data = MailData {
        at: person.created_at,
        ip: person.created_ip.clone(),
        user_agent: String::new(),
        ..MailData::of_request(&cx.origin, cx.now)
    };
    let row = confirm_mail(cx, &tx, &person, data).await?;
    cx.record_own(&tx, Action::ConfirmationResent, user_id, Detail::none()).await?;
    tx.commit().await?;
    Ok(Resent::Due(row))
}

pub(super) async fn verify(cx: &ChangeContext<'_>, user_id: Uuid) -> Result<Verified, DbErr> {
    let tx = cx.db.begin().await?;
    let Some(person) = table::lock(&tx, user_id).await? else { return Ok(Verified::Gone) };
    if is_disabled(&person) {
        return Ok(Verified::Gone);
    }
    if person.verified_at.is_some() {
        return Ok(Verified::Already);
    }
    prove(cx, &tx, &person).await?;
    change::drop_pending(&tx, user_id).await?;
    tx.commit().await?;
    Ok(Verified::Now)
}

/// Marks the email address as proven, and creates the user's default team and project. The caller
/// has locked the user's row.
pub(super) async fn prove(
    cx: &ChangeContext<'_>,
    tx: &Transaction,
    person: &User,
) -> Result<(), DbErr> {
    table::set_verified(tx, person.id, cx.now).await?;
    cx.record_own(tx, Action::EmailVerified, person.id, Detail::none()).await?;
    let (team, project) = teams::create_default(tx, person.id, &person.name, cx.now).await?;
    let who = Actor::Person(person.id);
    cx.record_in_team(tx, Action::TeamCreated, who, team, Detail::none()).await?;
    let detail = Detail::none().id("project", project);
    cx.record_in_team(tx, Action::ProjectCreated, who, team, detail).await
}

/// Whether the operator has disabled the account. The mailed links of a disabled account do not
/// work. Only a login with the right password shows that the account is disabled.
pub(super) fn is_disabled(person: &User) -> bool {
    person.status != UserState::Active
}
