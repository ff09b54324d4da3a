//! The deletion of the identities of users, together with their accounts.

use latchkey_entity::audit_stream;
use sea_orm::sea_query::{ExprTrait as _, NullOrdering};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait as _, DbErr, EntityTrait as _,
    FromQueryResult, Order, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use uuid::Uuid;

use super::Chain;
use super::keys::Checked;
use super::seal::End;
use crate::database::Transaction;

/// Prepares the audit for the deletion of users. The caller has locked the users and deletes them
/// in the same transaction. The schema then deletes their identities.
///
/// Each stream has a sealed count of the identities that were deleted in this way. So the
/// verification finds identities that were deleted in another way. The seals also cover the user
/// of a stream, which is null from now on. If a seal of a stream is wrong, the stream is not sealed
/// again, so that it stays visible.
///
/// # Errors
/// The database's error.
pub async fn erase(tx: &Transaction, chain: &Chain, users: &[Uuid]) -> Result<(), DbErr> {
    if users.is_empty() {
        return Ok(());
    }
    // The users are locked, so they get no new identities. But until the streams are locked,
    // retention can delete identities. So they are counted after that.
    let affected = identities_of(tx, users).await?;
    let is_affected = audit_stream::Column::Id
        .is_in(affected.iter().map(|stream| stream.stream_id))
        .or(audit_stream::Column::UserId.is_in(users.iter().copied()));
    let streams = audit_stream::Entity::find()
        .filter(is_affected)
        .order_by_with_nulls(audit_stream::Column::UserId, Order::Asc, NullOrdering::Last)
        .order_by_asc(audit_stream::Column::TeamId)
        .lock_exclusive()
        .all(tx)
        .await?;
    let erased = identities_of(tx, users).await?;
    for mut stream in streams {
        if [End::Base, End::Head].iter().any(|end| chain.keys().end(&stream, *end) != Checked::Good)
        {
            continue;
        }
        stream.user_id = stream.user_id.filter(|user| !users.contains(user));
        let of_stream = erased.iter().find(|it| it.stream_id == stream.id);
        stream.erased += of_stream.map_or(0, |it| it.identities);
        chain.seal_base(&mut stream);
        chain.seal_head(&mut stream);
        audit_stream::Entity::update_many()
            .set(audit_stream::ActiveModel {
                user_id: Set(stream.user_id),
                erased: Set(stream.erased),
                base_key: Set(stream.base_key),
                base_seal: Set(stream.base_seal),
                head_key: Set(stream.head_key),
                head_seal: Set(stream.head_seal),
                ..Default::default()
            })
            .filter(audit_stream::Column::Id.eq(stream.id))
            .exec(tx)
            .await?;
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct Erased {
    stream_id: Uuid,
    identities: i64,
}

/// Counts the identities of users in each stream.
async fn identities_of(tx: &Transaction, users: &[Uuid]) -> Result<Vec<Erased>, DbErr> {
    let marks: Vec<String> = (1..=users.len()).map(|at| format!("${at}")).collect();
    let sql = format!(
        "SELECT e.stream_id, COUNT(*) AS identities FROM audit_identities i \
         JOIN audit_events e ON e.id = i.event_id WHERE i.person_id IN ({}) GROUP BY e.stream_id",
        marks.join(", ")
    );
    let users = users.iter().map(|user| (*user).into());
    Erased::find_by_statement(Statement::from_sql_and_values(tx.get_database_backend(), sql, users))
        .all(tx)
        .await
}
