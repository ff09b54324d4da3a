//! Looking at teams.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::open::Opened;
use super::super::output::{Talk, print, print_json};
use crate::clock::rfc3339;
use crate::team::TeamState;
use crate::team::operator::{self, Filter, Team, Which};

#[derive(Args, Debug)]
pub struct List {
    /// Only those whose slug or name holds this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only teams of this status
    #[arg(long)]
    status: Option<Status>,
    /// At most so many, 1 to 1000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Go on after this team: `next` of the last list
    #[arg(long, value_name = "ID", default_value_t = Uuid::nil(), hide_default_value = true)]
    after: Uuid,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Active,
    Disabled,
}

pub(super) async fn list(
    list: &List,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let status = list.status.map(|status| match status {
        Status::Active => TeamState::Active,
        Status::Disabled => TeamState::Disabled,
    });
    let filter = Filter { search: list.search.clone(), status };
    let mut teams = operator::list(&opened.db, &filter, list.after, list.limit + 1).await?;
    let more = teams.len() as u64 > list.limit;
    if more {
        teams.pop();
    }
    let next = teams.last().filter(|_| more).map(|team| team.id);
    if json {
        let items: Vec<Value> = teams.iter().map(summary).collect();
        return Ok(print_json(talk, &json!({ "items": items, "next": next })));
    }
    let mut text = format!("{:36}  {:8}  {:24}  {:24}  NAME\n", "ID", "STATUS", "CREATED", "SLUG");
    for team in &teams {
        let created = rfc3339(team.created_at);
        writeln!(
            text,
            "{}  {:8}  {created}  {:24}  {}",
            team.id, team.status, team.slug, team.name
        )?;
    }
    if let Some(next) = next {
        writeln!(text, "more: --after {next}")?;
    }
    Ok(print(talk, &text))
}

fn summary(team: &Team) -> Value {
    json!({
        "id": team.id,
        "name": team.name,
        "slug": team.slug,
        "status": team.status.as_str(),
        "createdAt": rfc3339(team.created_at),
    })
}

pub(super) async fn show(
    which: &Which,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let Some(census) = operator::show(&opened.db, which, opened.clock.now()).await? else {
        return Ok(super::nothing(talk));
    };
    let team = &census.team;
    if json {
        let mut shown = summary(team);
        shown["members"] = census.members.into();
        shown["invitations"] = census.invitations.into();
        shown["projects"] = census.projects.into();
        shown["keys"] = census.keys.into();
        let owner = |(id, email): &(Uuid, String)| json!({ "id": id, "email": email });
        shown["owners"] = census.owners.iter().map(owner).collect();
        return Ok(print_json(talk, &shown));
    }
    let mut text = String::new();
    for (label, value) in [
        ("id", team.id.to_string()),
        ("name", team.name.clone()),
        ("slug", team.slug.clone()),
        ("status", team.status.to_string()),
        ("created", rfc3339(team.created_at)),
        ("members", census.members.to_string()),
        ("invited", census.invitations.to_string()),
        ("projects", census.projects.to_string()),
        ("keys", census.keys.to_string()),
    ] {
        writeln!(text, "{label:10}{value}")?;
    }
    for (id, email) in &census.owners {
        writeln!(text, "{:10}{id}  {email}", "owner")?;
    }
    Ok(print(talk, &text))
}
