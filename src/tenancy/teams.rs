//! Teams: the one that a person gets with the proof of their address, and the list of theirs.

use latchkey_entity::{membership, project, team};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, FromQueryResult,
    QueryFilter as _, Statement,
};
use uuid::Uuid;

use super::Role;
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::secret::{random_bytes, uuid_v7};

/// A team's name has 100 characters at most, like a person's.
const NAME_CHARACTERS_MAX: usize = 100;

/// Makes the default team of a person, who owns it, and in it the default project; their ids. Part of the caller's
/// transaction.
pub async fn create_default<C: ConnectionTrait>(
    tx: &C,
    user_id: Uuid,
    person_name: &str,
    now: UnixMillis,
) -> Result<(Uuid, Uuid), DbErr> {
    let (team_id, project_id) = (uuid_v7(now), uuid_v7(now));
    let suffix = "'s team";
    let kept: String = person_name.chars().take(NAME_CHARACTERS_MAX - suffix.len()).collect();
    let team = team::ActiveModel {
        id: Set(team_id),
        name: Set(format!("{kept}{suffix}")),
        slug: Set(slug(person_name)),
        created_at: Set(now),
    };
    let project = project::ActiveModel {
        id: Set(project_id),
        team_id: Set(team_id),
        name: Set("Default".to_owned()),
        slug: Set("default".to_owned()),
        created_at: Set(now),
    };
    let membership = membership::ActiveModel {
        id: Set(uuid_v7(now)),
        team_id: Set(team_id),
        user_id: Set(user_id),
        role: Set(Role::Owner.name().to_owned()),
        epoch: Set(0),
        created_at: Set(now),
    };
    team::Entity::insert(team).exec_without_returning(tx).await?;
    project::Entity::insert(project).exec_without_returning(tx).await?;
    membership::Entity::insert(membership).exec_without_returning(tx).await?;
    Ok((team_id, project_id))
}

/// A slug for URLs: the name's ASCII letters and digits, 24 at most, and 40 random bits that make it unique.
fn slug(name: &str) -> String {
    let mut slug: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .take(24)
        .collect();
    if slug.is_empty() {
        slug.push_str("team");
    }
    let random = random_bytes::<5>().iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    format!("{slug}-{random:010x}")
}

/// A team as its member sees it.
#[derive(Debug, FromQueryResult)]
pub struct MyTeam {
    /// The team.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its slug.
    pub slug: String,
    /// What the person is in it.
    pub role: String,
    /// When the team was made.
    pub created_at: i64,
}

/// The teams of a person after `after`, by id (which is by time of making), `limit` at most.
pub async fn of_user(
    db: &Db,
    user_id: Uuid,
    after: Uuid,
    limit: u64,
) -> Result<Vec<MyTeam>, DbErr> {
    let statement = Statement::from_sql_and_values(
        db.backend(),
        "SELECT t.id, t.name, t.slug, m.role, t.created_at FROM memberships m JOIN teams t ON t.id = m.team_id \
         WHERE m.user_id = $1 AND t.id > $2 ORDER BY t.id LIMIT $3",
        [user_id.into(), after.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
    );
    MyTeam::find_by_statement(statement).all(db.reader()).await
}

/// What deleting a person means for the teams they are in.
#[derive(Debug, PartialEq, Eq)]
pub enum Leaving {
    /// These end with the person: nobody else is in them.
    Alone(Vec<Uuid>),
    /// These have others and no other owner: by name.
    OwnedWithOthers(Vec<String>),
}

#[derive(FromQueryResult)]
struct Company {
    id: Uuid,
    name: String,
    others: i64,
    other_owners: i64,
}

/// Which teams end with a person, or which forbid that the person leaves.
pub async fn leaving<C: ConnectionTrait>(tx: &C, user_id: Uuid) -> Result<Leaving, DbErr> {
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "SELECT t.id, t.name, \
         (SELECT COUNT(*) FROM memberships o WHERE o.team_id = t.id AND o.user_id <> $1) AS others, \
         (SELECT COUNT(*) FROM memberships o WHERE o.team_id = t.id AND o.user_id <> $1 AND o.role = 'owner') \
         AS other_owners FROM memberships m JOIN teams t ON t.id = m.team_id WHERE m.user_id = $1 AND m.role = 'owner'",
        [user_id.into()],
    );
    let teams = Company::find_by_statement(statement).all(tx).await?;
    let held: Vec<String> = teams
        .iter()
        .filter(|team| team.others > 0 && team.other_owners == 0)
        .map(|team| team.name.clone())
        .collect();
    if !held.is_empty() {
        return Ok(Leaving::OwnedWithOthers(held));
    }
    Ok(Leaving::Alone(teams.iter().filter(|team| team.others == 0).map(|team| team.id).collect()))
}

/// Deletes teams with everything in them.
pub async fn delete<C: ConnectionTrait>(tx: &C, teams: &[Uuid]) -> Result<(), DbErr> {
    team::Entity::delete_many()
        .filter(team::Column::Id.is_in(teams.iter().copied()))
        .exec(tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain_and_never_twice_the_same() {
        assert!(slug("Ada Löve-lace").starts_with("adalvelace-"));
        assert!(slug("张伟").starts_with("team-"));
        assert_ne!(slug("Ada"), slug("Ada"));
    }
}
