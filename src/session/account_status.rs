//! [`AccountStatus`]: the state of an account and its membership. The check of each request reads
//! this state with one SELECT.
//!
//! The SELECT reads from the database the user's state, epoch and membership, and whether the
//! session was ended. So if the token store loses data or is restored, an ended session cannot
//! become valid again. A change of role has an effect from the next request on.

use sea_orm::{DbErr, FromQueryResult, Statement, Value};
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::database::Db;
use crate::secret::Secret;
use crate::session::Level;
use crate::team::{Role, TeamState};
use crate::user::{User, UserState};

/// A user, with the team and project of the session.
#[derive(Clone, Debug)]
pub struct AccountStatus {
    pub id: Uuid,
    /// The email address as the user typed it.
    pub email: String,
    /// The email address in its normal form.
    pub email_normal: String,
    pub name: String,
    /// A PHC string.
    pub password_hash: Secret<String>,
    /// A number that rises with each change of the password or the email address.
    pub password_version: i32,
    /// The epoch that a live session must have.
    pub session_epoch: i32,
    /// A number that rises with each change of the factors, and when all trust in devices ends.
    pub factor_version: i32,
    /// The number of factors.
    pub factor_count: i32,
    /// Whether the account may be used.
    pub state: UserState,
    /// When the email address was proven. None if it is not proven.
    pub verified_at: Option<UnixMillis>,
    pub created_at: UnixMillis,
    /// The IP address of the registration. Empty if the operator created the account.
    pub created_ip: String,
    /// Whether the user has logged in with the password before. The session that the registration
    /// opens does not count.
    pub has_logged_in: bool,
    /// The user's membership in the team of the session. None if the email address is not proven,
    /// or if the user is in no team.
    pub membership: Option<Membership>,
    /// Whether the session in the query was ended individually, and not together with all sessions
    /// of the user.
    pub session: SessionRow,
    /// Whether the vaultToken in the query was revoked.
    pub token: TokenRow,
}

/// A membership, with the names of its team and project.
#[derive(Clone, Debug)]
pub struct Membership {
    pub team_id: Uuid,
    pub team_name: String,
    /// Whether the team may be used.
    pub team_state: TeamState,
    /// Whether members need a session with two factors to use the team.
    pub requires_factor: bool,
    pub role: Role,
    /// The epoch of the membership. It is the claim `mep` of the vaultToken.
    pub epoch: i32,
    /// The project's id and name. None if the team has no project.
    pub project: Option<(Uuid, String)>,
}

impl Membership {
    /// Whether tokens for this team are valid. They are invalid while the team is disabled by the
    /// operator.
    pub fn is_active(&self) -> bool {
        self.team_state == TeamState::Active
    }

    /// Whether the team requires a second factor, and a session of this level has none.
    pub fn is_locked_for(&self, level: Level) -> bool {
        self.requires_factor && level < Level::Aal2
    }
}

/// What the table `ended_sessions` contains about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRow {
    /// The table has no row for the session. The token store decides whether the session is live.
    Absent,
    /// The table has a row for the session. The session has ended, even if the token store still
    /// contains it.
    Ended,
}

/// What the table `revoked_tokens` contains about a vaultToken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRow {
    /// The table has no row for the token.
    Absent,
    /// The token was revoked.
    Revoked,
}

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    email: String,
    email_normal: String,
    name: String,
    password_hash: String,
    password_version: i32,
    session_epoch: i32,
    factor_version: i32,
    factor_count: i32,
    status: UserState,
    verified_at: Option<i64>,
    created_at: i64,
    created_ip: String,
    has_logged_in: bool,
    team_id: Option<Uuid>,
    team_name: Option<String>,
    team_status: Option<TeamState>,
    require_factor: Option<bool>,
    role: Option<String>,
    membership_epoch: Option<i32>,
    project_id: Option<Uuid>,
    project_name: Option<String>,
    ended: bool,
    revoked: bool,
}

/// `$1` is the id of the session, and `$2` and `$3` are the ids of its team and project. `$4` is
/// the user's id or email address, and `$5` is the `jti` of the vaultToken.
///
/// If the user is no longer a member of the session's team, another membership of the user is read:
/// the one that the user chose last, or the oldest if the user never chose one. A membership in a
/// disabled team is read only if there is no other.
macro_rules! select {
    ($membership:literal, $filter:literal) => {
        concat!(
            "SELECT u.id, u.email, u.email_normal, u.name, u.password_hash, u.password_version, u.session_epoch, u.factor_version, u.factor_count, \
             u.status, u.verified_at, u.created_at, u.created_ip, u.has_logged_in, \
             EXISTS (SELECT 1 FROM ended_sessions e WHERE e.sid = $1) AS ended, \
             ($5 <> '' AND EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.jti = $5)) AS revoked, ",
            $membership,
            " WHERE ",
            $filter
        )
    };
}

/// The SELECT on SQLite. The query itself contains the conditions for user and team.
macro_rules! on_sqlite {
    ($filter:literal) => {
        select!(
            "m.team_id, t.name AS team_name, t.status AS team_status, t.require_factor, m.role, m.epoch AS membership_epoch, p.id AS project_id, \
             p.name AS project_name \
             FROM users u \
             LEFT JOIN memberships m ON m.id = (SELECT x.id FROM memberships x JOIN teams w ON w.id = x.team_id \
                 WHERE x.user_id = u.id ORDER BY CASE WHEN x.team_id = $2 THEN 0 WHEN w.status = 'active' THEN 1 ELSE 2 END, \
                 x.last_used_at DESC, x.created_at, x.id LIMIT 1) \
             LEFT JOIN teams t ON t.id = m.team_id \
             LEFT JOIN projects p ON p.id = (SELECT y.id FROM projects y JOIN memberships z ON z.team_id = y.team_id \
                 WHERE z.id = m.id ORDER BY CASE WHEN y.id = $3 THEN 0 WHEN y.id = z.last_project_id THEN 1 ELSE 2 END, \
                 y.created_at, y.id LIMIT 1)",
            $filter
        )
    };
}

/// The SELECT on PostgreSQL. It calls a database function that does the same lookup and is allowed
/// to read the memberships of this user (`migration/src/baseline/row_security.rs`).
macro_rules! on_postgres {
    ($filter:literal) => {
        select!(
            "m.team_id, m.team_name, m.team_status, m.require_factor, m.role, m.epoch AS membership_epoch, m.project_id, m.project_name \
             FROM users u LEFT JOIN LATERAL latchkey_membership(u.id, $2, $3) m ON true",
            $filter
        )
    };
}

/// The SELECT on PostgreSQL for a session that is in a team and a project. The statement enters the
/// scope of this team, and the scope ends with the statement. `LATERAL` and `OFFSET 0` make
/// PostgreSQL enter the scope before it reads the membership. In another order, the statement would
/// find no membership. It takes half the time of [`on_postgres`] (ADR 15).
const IN_TEAM_ON_POSTGRES: &str = select!(
    "m.team_id, m.team_name, m.team_status, m.require_factor, m.role, m.membership_epoch, m.project_id, m.project_name \
     FROM (SELECT set_config('latchkey.team', $2::text, true) AS team) s CROSS JOIN users u LEFT JOIN LATERAL \
         (SELECT x.team_id, t.name AS team_name, t.status AS team_status, t.require_factor, x.role, x.epoch AS membership_epoch, \
         p.id AS project_id, p.name AS project_name FROM memberships x JOIN teams t ON t.id = x.team_id \
         JOIN projects p ON p.team_id = x.team_id WHERE x.team_id = s.team::uuid AND x.user_id = u.id AND p.id = $3 OFFSET 0) m ON true",
    "u.id = $4"
);

/// The session and the vaultToken to look up.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatusQuery<'a> {
    /// The session's id. Empty if there is no session yet.
    pub sid: &'a str,
    pub team: Option<Uuid>,
    pub project: Option<Uuid>,
    /// The vaultToken's `jti`. Empty if no vaultToken is looked up.
    pub jti: &'a str,
}

impl AccountStatus {
    pub async fn by_id(db: &Db, id: Uuid, place: StatusQuery<'_>) -> Result<Option<Self>, DbErr> {
        if db.is_postgres() && place.team.is_some() && place.project.is_some() {
            let found = read(db, IN_TEAM_ON_POSTGRES, place, id.into()).await?;
            // If the user has left the team or the project was deleted, the other SELECT finds the
            // membership that takes their place.
            if found.as_ref().is_none_or(|it| it.membership.is_some()) {
                return Ok(found);
            }
        }
        let sql = (on_sqlite!("u.id = $4"), on_postgres!("u.id = $4"));
        read(db, choose(db, sql), place, id.into()).await
    }

    /// Reads the user with this email address. `normal` is the normal form of the address.
    pub async fn by_email(db: &Db, normal: &str) -> Result<Option<Self>, DbErr> {
        let sql = (on_sqlite!("u.email_normal = $4"), on_postgres!("u.email_normal = $4"));
        read(db, choose(db, sql), StatusQuery::default(), normal.into()).await
    }

    /// The status of an account that was just registered.
    pub fn of_new(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            email_normal: user.email_normal,
            name: user.name,
            password_hash: Secret::new(user.password_hash),
            password_version: user.password_version,
            session_epoch: user.session_epoch,
            factor_version: user.factor_version,
            factor_count: user.factor_count,
            state: user.status,
            verified_at: user.verified_at,
            created_at: user.created_at,
            created_ip: user.created_ip,
            has_logged_in: user.has_logged_in,
            membership: None,
            session: SessionRow::Absent,
            token: TokenRow::Absent,
        }
    }

    /// Whether the account has a second factor.
    pub fn has_factor(&self) -> bool {
        self.factor_count > 0
    }

    /// Whether the email address is proven.
    pub fn is_verified(&self) -> bool {
        self.verified_at.is_some()
    }
}

fn choose(db: &Db, (on_sqlite, on_postgres): (&'static str, &'static str)) -> &'static str {
    if db.is_postgres() { on_postgres } else { on_sqlite }
}

async fn read(
    db: &Db,
    sql: &'static str,
    place: StatusQuery<'_>,
    who: Value,
) -> Result<Option<AccountStatus>, DbErr> {
    let values = [place.sid.into(), place.team.into(), place.project.into(), who, place.jti.into()];
    let statement = Statement::from_sql_and_values(db.backend(), sql, values);
    Ok(Row::find_by_statement(statement).one(db.reader()).await?.map(AccountStatus::from))
}

impl From<Row> for AccountStatus {
    fn from(row: Row) -> Self {
        let membership = match (row.team_id, row.role.as_deref().and_then(Role::from_name)) {
            (Some(team_id), Some(role)) => Some(Membership {
                team_id,
                team_name: row.team_name.unwrap_or_default(),
                team_state: row.team_status.unwrap_or(TeamState::Disabled),
                requires_factor: row.require_factor.unwrap_or(true),
                role,
                epoch: row.membership_epoch.unwrap_or_default(),
                project: row.project_id.zip(row.project_name),
            }),
            _ => None,
        };
        Self {
            id: row.id,
            email: row.email,
            email_normal: row.email_normal,
            name: row.name,
            password_hash: Secret::new(row.password_hash),
            password_version: row.password_version,
            session_epoch: row.session_epoch,
            factor_version: row.factor_version,
            factor_count: row.factor_count,
            state: row.status,
            verified_at: row.verified_at,
            created_at: row.created_at,
            created_ip: row.created_ip,
            has_logged_in: row.has_logged_in,
            membership,
            session: if row.ended { SessionRow::Ended } else { SessionRow::Absent },
            token: if row.revoked { TokenRow::Revoked } else { TokenRow::Absent },
        }
    }
}
