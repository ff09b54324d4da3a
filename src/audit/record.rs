//! [`record`]: appends an event to its stream, in the transaction of the change.

use latchkey_entity::{audit_event, audit_identity, audit_stream, user};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::event_log::LoggedEvent;
use super::keys::Checked;
use super::seal::{self, End, GENESIS};
use super::{Actor, Chain, Event};
use crate::clock::UnixMillis;
use crate::database::Transaction;
use crate::secret::{random_bytes, uuid_v7};

/// The JSON member of `detail` that marks a row whose stream had an unproven head. When the row was
/// written, the seal of the head was wrong or its audit key was lost. So it could not be proven
/// that the row before it was really the last row. `latchkey audit verify` reports a marked row as
/// long as the row exists.
pub const UNPROVEN: &str = "unproven";

/// The JSON member of `detail` with the number of the newest
/// [checkpoint event](super::checkpoint_event) at the time of the row.
pub const CHECKPOINT: &str = "checkpoint";

/// The stream to which an event belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Team(Uuid),
    Person(Uuid),
    Installation,
}

impl Stream {
    const fn kind(self) -> &'static str {
        match self {
            Self::Team(_) => "team",
            Self::Person(_) => "person",
            Self::Installation => "installation",
        }
    }
}

/// Appends an event to its stream. `tx` is the transaction of the change that the event describes
/// ([`Db::begin`](crate::database::Db::begin)). So either both the change and the event are
/// written, or neither of them.
///
/// If the users of an event have been deleted in the meantime, no personal facts are written. If
/// such an event has no team, it goes to the stream of the installation. The event is counted and
/// logged only after the commit. Returns the number of the event in its stream.
///
/// # Errors
/// The database's error. The caller must return this error and must not commit, because a change
/// without its event is not allowed.
pub async fn record(
    tx: &Transaction,
    chain: &Chain,
    event: &Event<'_>,
    now: UnixMillis,
) -> Result<i64, DbErr> {
    match append(tx, chain, event, now).await {
        Ok(logged) => {
            let (chain, seq) = (chain.clone(), logged.seq());
            tx.after_commit(move || logged.write(&chain));
            Ok(seq)
        }
        Err(error) => {
            chain.count_failure();
            Err(error)
        }
    }
}

/// Returns the number that the next event of a team's stream will have. The stream stays locked
/// until the transaction ends. The caller must lock users before this call, as [`record`] does, and
/// must record the event in the same transaction.
///
/// # Errors
/// The database's error.
pub async fn next_in_team<C: ConnectionTrait>(
    tx: &C,
    chain: &Chain,
    team: Uuid,
    now: UnixMillis,
) -> Result<i64, DbErr> {
    Ok(locked(tx, chain, Stream::Team(team), now).await?.head_seq + 1)
}

/// Does as much work as [`record`] does for a user, but only changes rows that are never read. It
/// is called for email addresses without an account, so that the duration of a request does not
/// reveal whether an address has an account.
///
/// # Errors
/// The database's error.
pub async fn decoy<C: ConnectionTrait>(tx: &C, now: UnixMillis) -> Result<(), DbErr> {
    let nobody = uuid_v7(now);
    hold_people(tx, [nobody]).await?;
    find(tx, Stream::Person(nobody)).await?;
    // `record` writes three rows: the event, the identity and the head.
    for _ in 0..3 {
        touch_decoy(tx, now).await?;
    }
    Ok(())
}

async fn append<C: ConnectionTrait>(
    tx: &C,
    chain: &Chain,
    event: &Event<'_>,
    now: UnixMillis,
) -> Result<LoggedEvent, DbErr> {
    let people = present(tx, event).await?;
    let is_present = |id: Uuid| people.contains(&id);
    let person = event.subject.or(event.actor.person()).filter(|id| is_present(*id));
    let of = match (event.team, person) {
        (Some(team), _) => Stream::Team(team),
        (None, Some(person)) => Stream::Person(person),
        (None, None) => Stream::Installation,
    };
    let mut stream = locked(tx, chain, of, now).await?;
    let seq = stream.head_seq + 1;
    let id = ordered_id(now, seq);
    let identities = identities(event, id, is_present);
    let commitment = |party: &str| {
        let row = identities.iter().find(|row| row.party == party);
        row.map(|row| seal::commitment_of(row).to_vec())
    };
    let mut detail = event.detail.clone();
    if let Actor::ProjectKey(key) = event.actor {
        detail = detail.id("projectKey", key);
    }
    // This mark is needed because the head is now sealed again. If an attacker had moved the head,
    // the new seal would hide that.
    if chain.keys().end(&stream, End::Head) != Checked::Good {
        tracing::error!(
            stream = %stream.id,
            seq,
            "the head of an audit stream is not the one that latchkey wrote: run `latchkey audit \
             verify`"
        );
        detail = detail.word(UNPROVEN, "head");
    }
    // The row is evidence that the stream of the installation had reached its latest checkpoint.
    if of != Stream::Installation && chain.latest_checkpoint() > 0 {
        detail = detail.number(CHECKPOINT, chain.latest_checkpoint());
    }
    let mut row = audit_event::Model {
        id,
        stream_id: stream.id,
        seq,
        at: now,
        action: event.action.as_str().to_owned(),
        outcome: event.outcome.as_str().to_owned(),
        actor_kind: event.actor.kind().to_owned(),
        trace_id: event.origin.trace_id().to_owned(),
        actor_commitment: commitment("actor"),
        subject_commitment: commitment("subject"),
        detail: detail.plain_json(),
        key_id: chain.key_id().to_owned(),
        mac: Vec::new(),
    };
    row.mac = chain.event_mac(&stream.head_mac, &row).to_vec();
    (stream.head_seq, stream.head_at) = (seq, now);
    stream.head_mac.clone_from(&row.mac);
    chain.seal_head(&mut stream);
    let told = LoggedEvent::of(event, &row);
    audit_event::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    if !identities.is_empty() {
        let rows = identities.into_iter().map(sea_orm::IntoActiveModel::into_active_model);
        audit_identity::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    audit_stream::Entity::update_many()
        .set(audit_stream::ActiveModel {
            head_seq: Set(stream.head_seq),
            head_at: Set(stream.head_at),
            head_mac: Set(stream.head_mac),
            head_key: Set(stream.head_key),
            head_seal: Set(stream.head_seal),
            ..Default::default()
        })
        .filter(audit_stream::Column::Id.eq(stream.id))
        .exec(tx)
        .await?;
    Ok(told)
}

/// Returns those users of an event that still exist, and locks their rows. This must happen before
/// the stream is locked. A transaction that deletes a user locks in the same order: first the
/// user's row, then the stream. So the two transactions never wait for each other.
async fn present<C: ConnectionTrait>(tx: &C, event: &Event<'_>) -> Result<Vec<Uuid>, DbErr> {
    let people: Vec<Uuid> = event.subject.into_iter().chain(event.actor.person()).collect();
    if people.is_empty() {
        return Ok(people);
    }
    hold_people(tx, people).await
}

/// Locks users in the order of their ids until the transaction ends, so that none of them can be
/// deleted before that. Returns the users that exist.
pub async fn hold_people<C: ConnectionTrait>(
    tx: &C,
    people: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Uuid>, DbErr> {
    user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::Id.is_in(people))
        .order_by_asc(user::Column::Id)
        .lock(LockType::KeyShare)
        .into_tuple()
        .all(tx)
        .await
}

/// Changes a row that is never read. This costs as much as a write of a real change.
pub async fn touch_decoy<C: ConnectionTrait>(tx: &C, now: UnixMillis) -> Result<(), DbErr> {
    let [random] = random_bytes::<1>();
    tx.execute_raw(Statement::from_sql_and_values(
        tx.get_database_backend(),
        "UPDATE decoys SET touched_at = $1 WHERE slot = $2",
        [now.into(), i32::from(random % 64).into()],
    ))
    .await
    .map(drop)
}

/// Returns the row of a stream, and locks it until the transaction ends. SQLite locks the whole
/// file. If the stream has no row yet, this function creates it.
async fn locked<C: ConnectionTrait>(
    tx: &C,
    chain: &Chain,
    of: Stream,
    now: UnixMillis,
) -> Result<audit_stream::Model, DbErr> {
    if let Some(stream) = find(tx, of).await? {
        return Ok(stream);
    }
    let mut stream = audit_stream::Model {
        id: uuid_v7(now),
        kind: of.kind().to_owned(),
        team_id: if let Stream::Team(id) = of { Some(id) } else { None },
        user_id: if let Stream::Person(id) = of { Some(id) } else { None },
        head_seq: 0,
        head_at: now,
        head_mac: GENESIS.to_vec(),
        head_key: String::new(),
        head_seal: Vec::new(),
        base_seq: 0,
        base_mac: GENESIS.to_vec(),
        base_key: String::new(),
        base_seal: Vec::new(),
        erased: 0,
        created_at: now,
    };
    chain.seal_head(&mut stream);
    chain.seal_base(&mut stream);
    audit_stream::Entity::insert(stream.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    find(tx, of).await?.ok_or_else(|| DbErr::RecordNotFound("an audit stream".to_owned()))
}

async fn find<C: ConnectionTrait>(
    tx: &C,
    of: Stream,
) -> Result<Option<audit_stream::Model>, DbErr> {
    let filter = match of {
        Stream::Team(id) => audit_stream::Column::TeamId.eq(id),
        Stream::Person(id) => audit_stream::Column::UserId.eq(id),
        Stream::Installation => audit_stream::Column::Kind.eq(of.kind()),
    };
    audit_stream::Entity::find().filter(filter).lock_exclusive().one(tx).await
}

/// A UUID version 7. The 12 bits after the time contain the lowest bits of the row's number, so
/// that rows of the same stream and millisecond stay in order (RFC 9562 §6.2, method 1).
fn ordered_id(now: UnixMillis, seq: i64) -> Uuid {
    let mut random = random_bytes::<10>();
    let [.., high, low] = seq.to_be_bytes();
    (random[0], random[1]) = (high, low);
    let millis = u64::try_from(now).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// The identities of an event. The actor's identity contains the client of the request. The
/// subject's identity contains only facts about the subject, with one exception: if the actor is an
/// anonymous client, the subject's identity contains the client, because there is no identity of
/// the actor.
fn identities(
    event: &Event<'_>,
    event_id: Uuid,
    is_present: impl Fn(Uuid) -> bool,
) -> Vec<audit_identity::Model> {
    let mut rows = Vec::with_capacity(2);
    let mut add = |party: &str, person_id: Option<Uuid>, body: Map<String, Value>| {
        rows.push(audit_identity::Model {
            event_id,
            party: party.to_owned(),
            person_id,
            salt: random_bytes::<32>().to_vec(),
            body: Value::Object(body).to_string(),
        });
    };
    let actor = event.actor.person().filter(|id| is_present(*id));
    let subject = event.subject.filter(|id| is_present(*id));
    let other = subject.filter(|id| Some(*id) != actor);
    match (event.actor, actor) {
        (_, Some(id)) => {
            let mut body = with_id(id);
            body.extend(origin(event));
            if other.is_none() {
                body.extend(event.detail.personal_members().clone());
            }
            add("actor", Some(id), body);
        }
        // The IP address of a program with a project's key belongs to no user. So it is deleted
        // with the event's row and not with an account.
        (Actor::ProjectKey(_), None) => add("actor", None, origin(event)),
        _ => {}
    }
    if let Some(id) = other {
        let mut body = with_id(id);
        if event.actor == Actor::Nobody {
            body.extend(origin(event));
        }
        body.extend(event.detail.personal_members().clone());
        add("subject", Some(id), body);
    }
    rows
}

fn with_id(id: Uuid) -> Map<String, Value> {
    Map::from_iter([("id".to_owned(), Value::String(id.to_string()))])
}

fn origin(event: &Event<'_>) -> Map<String, Value> {
    let mut body = Map::new();
    for (name, text) in [("ip", &event.origin.ip), ("userAgent", &event.origin.user_agent)] {
        if !text.is_empty() {
            body.insert(name.to_owned(), Value::String(text.clone()));
        }
    }
    body
}
