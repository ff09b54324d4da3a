//! `latchkey users list` and `latchkey users show`.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::listing::{Part, Status, Written};
use super::super::open::Opened;
use super::super::output::{Talk, print, print_json};
use crate::account::operator::{self, Filter, Who};
use crate::clock::rfc3339;
use crate::factor::table as factors;
use crate::password::{Unsupported, admit};
use crate::team::teams;
use crate::user::{User, UserState};

/// `show` lists at most this many teams. More are not readable on a terminal.
const TEAMS_MAX: u64 = 1_000;

#[derive(Args, Debug)]
pub struct List {
    /// List only accounts whose email address contains this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// List only accounts with this status
    #[arg(long)]
    status: Option<Status>,
    /// List only accounts whose email address is not verified
    #[arg(long)]
    unverified: bool,
    /// List only accounts without a second factor
    #[arg(long)]
    without_factor: bool,
    #[command(flatten)]
    part: Part,
}

pub(super) async fn list(
    list: &List,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let filter = Filter {
        search: list.search.clone(),
        state: list.status.map(|status| match status {
            Status::Active => UserState::Active,
            Status::Disabled => UserState::Disabled,
        }),
        unverified: list.unverified,
        without_factor: list.without_factor,
    };
    let users = operator::list(&opened.db, &filter, list.part.after, list.part.rows()).await?;
    let written = Written {
        head: format!("{:36}  {:8}  {:8}  {:24}  EMAIL", "ID", "STATUS", "VERIFIED", "CREATED"),
        row: |user: &User| {
            let verified = if user.verified_at.is_some() { "yes" } else { "no" };
            let created = rfc3339(user.created_at);
            format!("{}  {:8}  {verified:8}  {created}  {}", user.id, user.status, user.email)
        },
        item: summary,
        id: |user| user.id,
    };
    list.part.print(users, &written, (json, talk))
}

fn summary(user: &User) -> Value {
    json!({
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "status": user.status.as_str(),
        "emailVerified": user.verified_at.is_some(),
        "createdAt": rfc3339(user.created_at),
    })
}

pub(super) async fn show(
    who: &Who,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let Some(user) = operator::find(&opened.db, who).await? else { return Ok(super::nobody(talk)) };
    let now = opened.clock.now();
    let counts = operator::counts(&opened.db, user.id, now).await?;
    let teams = teams::of_user(&opened.db, user.id, Uuid::nil(), TEAMS_MAX).await?;
    let factors = factors::of_user(opened.db.reader(), user.id).await?;
    let codes_left = factors::codes_left(opened.db.reader(), user.id).await?;
    // The data of the database is shown even if the token store is down.
    let sessions = opened.store.sessions(user.id, now).await.ok();
    let live = sessions.map(|sessions| {
        let current = |session: &&crate::store::Session| session.epoch == user.session_epoch;
        sessions.iter().filter(current).count()
    });
    let mut shown = summary(&user);
    shown["verifiedAt"] = user.verified_at.map(rfc3339).into();
    shown["updatedAt"] = rfc3339(user.updated_at).into();
    shown["passwordFormat"] = format_of(&user.password_hash).into();
    shown["sessions"] = live.into();
    shown["factors"] = factors
        .iter()
        .map(|it| {
            json!({
                "kind": it.kind.as_str(),
                "name": it.name,
                "createdAt": rfc3339(it.created_at),
                "lastUsedAt": it.last_used_at.map(rfc3339),
            })
        })
        .collect();
    shown["recoveryCodesLeft"] = codes_left.into();
    shown["mailsPending"] = counts.mails_pending.into();
    shown["teams"] = teams
        .iter()
        .map(|team| json!({ "id": team.id, "name": team.name, "slug": team.slug, "role": team.role }))
        .collect();
    if json {
        return Ok(print_json(talk, &shown));
    }
    let mut text = String::new();
    for (label, value) in [
        ("id", user.id.to_string()),
        ("email", user.email.clone()),
        ("name", user.name.clone()),
        ("status", user.status.to_string()),
        ("verified", user.verified_at.map_or("no".to_owned(), rfc3339)),
        ("created", rfc3339(user.created_at)),
        ("changed", rfc3339(user.updated_at)),
        ("password", format_of(&user.password_hash)),
        ("sessions", live.map_or("unknown: the token store is down".to_owned(), |n| n.to_string())),
        ("mails", format!("{} waiting", counts.mails_pending)),
    ] {
        writeln!(text, "{label:10}{value}")?;
    }
    for factor in &factors {
        let (kind, added) = (factor.kind.as_str(), rfc3339(factor.created_at));
        writeln!(text, "{:10}{kind}  {added}  {}", "factor", factor.name)?;
    }
    if !factors.is_empty() {
        writeln!(text, "{:10}{codes_left} recovery codes left", "codes")?;
    }
    for team in &teams {
        writeln!(text, "{:10}{}  {}  {}", "team", team.id, team.role, team.name)?;
    }
    Ok(print(talk, &text))
}

/// Returns the name of a hash's format, never the hash.
fn format_of(hash: &str) -> String {
    let argon2 = hash.strip_prefix('$').and_then(|it| it.split_once('$')).map(|(name, _)| name);
    if let Some(name @ ("argon2id" | "argon2i" | "argon2d")) = argon2 {
        return name.to_owned();
    }
    match admit(hash) {
        Ok(format) | Err(Unsupported::TooCostly(format) | Unsupported::Malformed(format)) => {
            format.to_string()
        }
        Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_named_and_never_the_hash() {
        for (hash, format) in [
            ("$argon2id$v=19$m=64,t=1,p=1,keyid=MQ$c2FsdHNhbHQ$aGFzaA", "argon2id"),
            ("{SSHA}ologocKVmnqx7QSzXmfMlPSP4NVzYWx0c2FsdA==", "salted SHA"),
            ("$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "bcrypt"),
            ("AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg==", "PBKDF2-SHA1"),
            ("something else", "unknown"),
        ] {
            assert_eq!(format_of(hash), format);
        }
    }
}
