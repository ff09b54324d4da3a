//! `latchkey mail list`: lists the mails in the outbox.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::output::{Talk, print, print_json};
use crate::clock::rfc3339;
use crate::database::{DatabaseError, Db};
use crate::mail::Kind;
use crate::mail::operator::{self, Filter, OutboxMail, OutboxState};

#[derive(Args, Debug)]
pub struct List {
    /// Without this option, only unsent mails (`pending` and `dead`) are listed. With this option,
    /// choose one of these values
    #[arg(long)]
    state: Option<Which>,
    /// List only mails of this kind: `confirm`, `recover`, `invitation`, …
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// List only mails whose recipient contains this text
    #[arg(long, value_name = "TEXT")]
    to: Option<String>,
    /// Print at most this many mails, from 1 to 1000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// List the mails after this id. The end of the previous list shows the id to use (in JSON:
    /// `next`)
    #[arg(long, value_name = "ID", default_value_t = Uuid::nil(), hide_default_value = true)]
    after: Uuid,
}

/// The states to list.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// The mail still waits: it is due, it waits after a failed attempt, or a daemon is sending it.
    Pending,
    /// The mail was handed over to the mail server.
    Sent,
    /// A newer mail replaced this mail, or the mail is no longer needed.
    Superseded,
    /// The mail was given up: no daemon sends it, unless you use `mail retry`.
    Dead,
    /// The mails in all states.
    All,
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = || Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
    Kind::from_name(text).ok_or_else(|| format!("write one of {}", known()))
}

pub(super) async fn list(
    list: &List,
    db: &Db,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, DatabaseError> {
    let states = match list.state {
        None => vec![OutboxState::Pending, OutboxState::Dead],
        Some(Which::Pending) => vec![OutboxState::Pending],
        Some(Which::Sent) => vec![OutboxState::Sent],
        Some(Which::Superseded) => vec![OutboxState::Superseded],
        Some(Which::Dead) => vec![OutboxState::Dead],
        Some(Which::All) => Vec::new(),
    };
    let filter = Filter { states, kind: list.kind, to: list.to.clone() };
    let mut mails = operator::list(db, &filter, list.after, list.limit + 1).await?;
    let more = mails.len() as u64 > list.limit;
    if more {
        mails.pop();
    }
    let next = mails.last().filter(|_| more).map(|mail| mail.id);
    if json {
        let items: Vec<Value> = mails.iter().map(as_json).collect();
        return Ok(print_json(talk, &json!({ "items": items, "next": next })));
    }
    Ok(print(talk, &table(&mails, next)))
}

fn as_json(mail: &OutboxMail) -> Value {
    json!({
        "id": mail.id,
        "kind": mail.kind,
        "state": mail.state.as_str(),
        "to": mail.recipient,
        "userId": mail.user_id,
        "attempts": mail.attempts,
        "createdAt": rfc3339(mail.created_at),
        "dueAt": rfc3339(mail.due_at),
        "sentAt": mail.sent_at.map(rfc3339),
        "lastError": mail.last_error,
    })
}

fn table(mails: &[OutboxMail], next: Option<Uuid>) -> String {
    let mut text = format!(
        "{:36}  {:10}  {:19}  {:24}  {:5}  {:18}  TO\n",
        "ID", "STATE", "KIND", "DUE", "TRIES", "LAST ERROR"
    );
    for mail in mails {
        let (id, state, kind, due) = (mail.id, &mail.state, &mail.kind, rfc3339(mail.due_at));
        let (tries, to) = (mail.attempts, &mail.recipient);
        let error = mail.last_error.as_deref().unwrap_or("-");
        let _ =
            writeln!(text, "{id}  {state:10}  {kind:19}  {due:24}  {tries:<5}  {error:18}  {to}");
    }
    if let Some(next) = next {
        let _ = writeln!(text, "there are more mails: continue with --after {next}");
    }
    text
}
