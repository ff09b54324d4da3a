//! [`AccountOwner`]: the user who changes an account in a session.

use sea_orm::DbErr;
use uuid::Uuid;

use super::register;
use crate::database::Transaction;
use crate::session::Principal;
use crate::user::{User, table};

/// The user who changes an account, as the check of the request saw the account. If the sessions of
/// the account have ended since then, the change is refused: another person has perhaps taken the
/// account back in the meantime, or has got its first factor.
#[derive(Clone, Copy, Debug)]
pub struct AccountOwner {
    pub user_id: Uuid,
    pub session_epoch: i32,
}

impl AccountOwner {
    pub fn of(Principal { standing, .. }: &Principal) -> Self {
        Self { user_id: standing.id, session_epoch: standing.session_epoch }
    }

    /// Locks the user's row. Returns none if the account no longer exists, may not be used, or has
    /// another epoch.
    pub(super) async fn lock(self, tx: &Transaction) -> Result<Option<User>, DbErr> {
        let user = table::lock(tx, self.user_id).await?;
        Ok(user.filter(|user| {
            user.session_epoch == self.session_epoch && !register::is_disabled(user)
        }))
    }
}
