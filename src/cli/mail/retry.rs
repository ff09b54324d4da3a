//! `latchkey mail retry`: makes mails due now, so that a daemon sends them.

use std::process::ExitCode;

use clap::{ArgGroup, Args};
use serde_json::json;
use uuid::Uuid;

use super::super::output::{Talk, print_json, say_line};
use crate::clock::Clock;
use crate::database::{DatabaseError, Db};
use crate::exit::CHECK_SAYS_NO;
use crate::mail::operator::{self, Retried};

#[derive(Args, Debug)]
#[group(skip)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "dead"]))]
pub struct Retry {
    /// The ids of the mails
    #[arg(value_name = "ID")]
    ids: Vec<Uuid>,
    /// Retry all mails that were given up
    #[arg(long)]
    dead: bool,
    /// Only with `--dead`: print how many mails were given up, and change nothing
    #[arg(long, requires = "dead", conflicts_with = "ids")]
    dry_run: bool,
}

pub(super) async fn retry(
    retry: &Retry,
    db: &Db,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, DatabaseError> {
    let now = Clock::System.now();
    let (mut due, mut refused) = (0, Vec::new());
    if retry.dry_run {
        due = operator::count_dead(db).await?;
    } else if retry.dead {
        due = operator::retry_dead(db, now).await?;
    }
    for id in &retry.ids {
        match operator::retry(db, *id, now).await? {
            Retried::Due => due += 1,
            Retried::Done => {
                refused.push((*id, "it was already sent, or a newer mail has replaced it"));
            }
            Retried::Gone => refused.push((*id, "there is no mail with this id")),
        }
    }
    if json {
        let refused: Vec<_> =
            refused.iter().map(|(id, why)| json!({ "id": id, "why": why })).collect();
        print_json(talk, &json!({ "due": due, "refused": refused }));
    } else {
        let word = if retry.dry_run { "would be due" } else { "due now" };
        say_line(&format!("{due} {word}"));
    }
    for (id, why) in &refused {
        talk.fail(&format!("{id}: {why}"));
    }
    Ok(ExitCode::from(if refused.is_empty() { 0 } else { CHECK_SAYS_NO }))
}
