//! [`TeamChange`]: one change of a team, in one transaction.

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, FromQueryResult, Statement};
use uuid::Uuid;

use super::TeamState;
use super::{Actor, Permission, Refusal, Role};
use crate::audit::ChangeContext;
use crate::audit::{self, Action, Detail, Outcome};
use crate::database::Transaction;
use crate::database::tenant_scope::{self, TenantScope};

/// A change of a team that has begun. The change holds a lock on the team, so the changes of one
/// team run one after another.
#[derive(Debug)]
pub struct TeamChange<'a> {
    /// The transaction, which is inside the tenant scope of the team.
    pub tx: Transaction,
    /// The current role of the acting member.
    pub role: Role,
    actor: Actor,
    cx: &'a ChangeContext<'a>,
}

/// Begins a change of a team. Locks the team, and checks the acting member's permission again.
///
/// `subject` is the other user whom the change concerns, if there is one. Every transaction locks
/// users before teams, so two transactions cannot block each other forever.
pub async fn begin<'a>(
    cx: &'a ChangeContext<'a>,
    actor: Actor,
    subject: Option<Uuid>,
    permission: Permission,
) -> Result<TeamChange<'a>, Refusal> {
    let tx = tenant_scope::begin(cx.db, TenantScope::Team(actor.team_id)).await?;
    audit::hold_people(&tx, subject.into_iter().chain([actor.user_id])).await?;
    let (role, status) = lock_role(&tx, actor).await?.ok_or(Refusal::NotFound)?;
    if !permission.is_granted_to(role) {
        return Err(Refusal::Forbidden);
    }
    if status == TeamState::Disabled && !permission.holds_while_disabled() {
        return Err(Refusal::TeamDisabled);
    }
    Ok(TeamChange { tx, role, actor, cx })
}

impl TeamChange<'_> {
    /// Records the change in the audit, and commits the change and the audit event together.
    pub async fn commit(
        self,
        action: Action,
        subject: Option<Uuid>,
        detail: Detail,
    ) -> Result<(), DbErr> {
        let (what, actor) = ((action, Outcome::Success), audit::Actor::Person(self.actor.user_id));
        let whom = (subject, Some(self.actor.team_id));
        self.cx.record(&self.tx, what, actor, whom, detail).await?;
        self.tx.commit().await
    }
}

/// Locks a team until the transaction ends, and returns the user's role in it and the team's state.
/// On SQLite the whole file is locked.
///
/// The row of the membership is also locked. So after waiting for the lock, PostgreSQL returns the
/// newest version of this row, not the version from before the wait.
pub async fn lock_role<C: ConnectionTrait>(
    tx: &C,
    actor: Actor,
) -> Result<Option<(Role, TeamState)>, DbErr> {
    #[derive(FromQueryResult)]
    struct Row {
        role: String,
        status: TeamState,
    }
    let backend = tx.get_database_backend();
    let lock = if backend == DatabaseBackend::Postgres { " FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT m.role, t.status FROM teams t JOIN memberships m ON m.team_id = t.id \
         WHERE t.id = $1 AND m.user_id = $2{lock}"
    );
    let values = [actor.team_id.into(), actor.user_id.into()];
    let row = Row::find_by_statement(Statement::from_sql_and_values(backend, &sql, values));
    let found = row.one(tx).await?;
    Ok(found.and_then(|row| Some((Role::from_name(&row.role)?, row.status))))
}
