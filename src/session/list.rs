//! The live sessions of an account.

use std::collections::HashSet;

use latchkey_entity::ended_session::{Column, Entity};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _};

use super::AccountStatus;
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::problem::Unavailable;
use crate::store::{Session, Store};

/// Returns an account's sessions from the token store, without the sessions that have ended
/// according to the database.
pub async fn live(
    store: &Store,
    db: &Db,
    account: &AccountStatus,
    now: UnixMillis,
) -> Result<Vec<Session>, Unavailable> {
    let mut sessions = store.sessions(account.id, now).await?;
    let ended = Entity::find()
        .select_only()
        .column(Column::Sid)
        .filter(Column::UserId.eq(account.id))
        .filter(Column::Sid.is_in(sessions.iter().map(|session| &session.sid)))
        .into_tuple::<String>();
    let ended: HashSet<String> = ended.all(db.reader()).await?.into_iter().collect();
    sessions
        .retain(|session| session.epoch == account.session_epoch && !ended.contains(&session.sid));
    Ok(sessions)
}
