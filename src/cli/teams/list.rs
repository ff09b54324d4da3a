//! `latchkey teams list` and `latchkey teams show`.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::listing::{Part, Status, Written};
use super::super::open::Opened;
use super::super::output::{Talk, print, print_json};
use crate::clock::rfc3339;
use crate::team::TeamState;
use crate::team::operator::{self, Filter, Team, Which};

#[derive(Args, Debug)]
pub struct List {
    /// List only teams whose slug or name contains this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// List only teams with this status
    #[arg(long)]
    status: Option<Status>,
    #[command(flatten)]
    part: Part,
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
    let teams = operator::list(&opened.db, &filter, list.part.after, list.part.rows()).await?;
    let written = Written {
        head: format!("{:36}  {:8}  {:24}  {:24}  NAME", "ID", "STATUS", "CREATED", "SLUG"),
        row: |team: &Team| {
            let created = rfc3339(team.created_at);
            format!("{}  {:8}  {created}  {:24}  {}", team.id, team.status, team.slug, team.name)
        },
        item: summary,
        id: |team| team.id,
    };
    list.part.print(teams, &written, (json, talk))
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
        shown["requireFactor"] = team.require_factor.into();
        shown["members"] = census.members.into();
        shown["membersWithoutFactor"] = census.members_without_factor.into();
        shown["invitations"] = census.invitations.into();
        shown["projects"] = census.projects.into();
        shown["keys"] = census.keys.into();
        let owner = |(id, email): &(Uuid, String)| json!({ "id": id, "email": email });
        shown["owners"] = census.owners.iter().map(owner).collect();
        return Ok(print_json(talk, &shown));
    }
    let mut text = String::new();
    let required = if team.require_factor { "yes" } else { "no" };
    for (label, value) in [
        ("id", team.id.to_string()),
        ("name", team.name.clone()),
        ("slug", team.slug.clone()),
        ("status", team.status.to_string()),
        ("created", rfc3339(team.created_at)),
        ("requireFactor", required.to_owned()),
        ("members", census.members.to_string()),
        ("without factor", format!("{} of the members", census.members_without_factor)),
        ("invited", census.invitations.to_string()),
        ("projects", census.projects.to_string()),
        ("keys", census.keys.to_string()),
    ] {
        writeln!(text, "{label:16}{value}")?;
    }
    for (id, email) in &census.owners {
        writeln!(text, "{:16}{id}  {email}", "owner")?;
    }
    Ok(print(talk, &text))
}
