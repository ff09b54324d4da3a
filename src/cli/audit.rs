//! `latchkey audit …`: proves that no audit event was altered or removed, and exports the events.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::ending::broken_off;
use super::open;
use super::output::{Progress, Talk, print, print_json};
use crate::audit::checkpoint;
use crate::audit::verify::{Finding, Kind};
use crate::audit::{Chain, ChainError, Keys, Masters, export, verify};
use crate::clock::{UnixMillis, millis};
use crate::config::Config;
use crate::database::Db;
use crate::exit::CHECK_SAYS_NO;
use crate::token;

/// `--json` lists at most this many findings and counts the rest. One lost key can cause millions
/// of findings.
const LISTED_MAX: usize = 1_000;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Check every audit event. The exit code is 0 if all events are intact. It is 3 if an event
    /// was altered, was removed, or cannot be verified
    Verify {
        /// Also compare the events with the checkpoints in this file. The file contains the output
        /// of `audit export`, or log lines with the message `audit heads`
        #[arg(long, value_name = "FILE")]
        heads: Option<PathBuf>,
    },
    /// Print the secret keys that authenticate audit events, as JSON lines
    ///
    /// An attacker who has these keys can write a different history, so keep the keys secret. You
    /// need the keys to check an export on another machine, without this database (docs/audit.md).
    Keys,
    /// Print the audit events as JSON lines, followed by the checkpoints (the signed heads of the
    /// streams)
    Export {
        /// Print only the events since this time (in the format of RFC 3339)
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<UnixMillis>,
        /// Print only events of this team
        #[arg(long, value_name = "ID")]
        team: Option<Uuid>,
        /// Print only events of this user: what the user did, and what other users did to the
        /// user's account
        #[arg(long, value_name = "ID")]
        user: Option<Uuid>,
    },
}

fn moment(text: &str) -> Result<UnixMillis, String> {
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| error.to_string())?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(|error| error.to_string())
}

pub async fn run(command: Command, config: &Config, json: bool, talk: Talk) -> ExitCode {
    let needs = match open::keys(config).await {
        Ok(needs) => needs,
        Err(fault) => return fault.report(talk),
    };
    let done = match command {
        Command::Keys => run_keys(&needs, talk).await,
        Command::Verify { heads } => run_verify(&needs, heads.as_deref(), config, json, talk).await,
        Command::Export { since, team, user } => {
            let filter = export::Filter { since: since.unwrap_or(0), team, user };
            run_export(&needs, &filter, talk).await
        }
    };
    done.unwrap_or_else(|error| match error.downcast_ref() {
        Some(ChainError::Sealed) => open::Fault::Setting(error.to_string()).report(talk),
        _ => broken_off(talk, error.as_ref()),
    })
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

fn masters(needs: &token::KeyDependencies) -> Masters<'_> {
    Masters { current: &needs.master, previous: needs.previous.as_ref() }
}

/// Reads the audit keys. The master keys have to open the current one.
async fn keys(needs: &token::KeyDependencies) -> Result<Keys, Failed> {
    Chain::check(&needs.db, masters(needs)).await?;
    Ok(Keys::read(needs.db.reader(), masters(needs)).await?)
}

async fn run_keys(needs: &token::KeyDependencies, talk: Talk) -> Result<ExitCode, Failed> {
    let keys = keys(needs).await?;
    let line = |(id, key): (&str, String)| format!("{}\n", json!({ "keyId": id, "key": key }));
    Ok(print(talk, &keys.printed().map(line).collect::<String>()))
}

async fn run_verify(
    needs: &token::KeyDependencies,
    file: Option<&Path>,
    config: &Config,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Failed> {
    let file = file.map(HeadsFile::open).transpose()?;
    let keys = keys(needs).await?;
    let progress = Progress::rows(verify::count(&needs.db).await.ok());
    let (mut listed, mut found) = (Vec::new(), 0_u64);
    let mut sink = |finding: Finding| {
        found += 1;
        if !json {
            progress.say(&line(&finding));
        } else if listed.len() < LISTED_MAX {
            listed.push(finding);
        }
    };
    let kept_from = needs.clock.now() - millis(config.audit.retention);
    let mut told = |rows| progress.at(rows);
    let summary = verify::verify(&needs.db, &keys, kept_from, &mut sink, &mut told).await?;
    let mut compared = 0;
    if let Some(file) = &file {
        compared = compare((&needs.db, &keys), file, kept_from, &mut sink).await?;
    }
    progress.end();
    let printed = if json {
        let data = json!({
            "ok": found == 0, "streams": summary.streams, "events": summary.events,
            "heads": compared, "found": found, "findings": listed,
        });
        print_json(talk, &data)
    } else {
        let (streams, events) = (summary.streams, summary.events);
        let words = if found == 0 {
            "nothing was altered or removed".to_owned()
        } else {
            format!("{found} findings")
        };
        print(
            talk,
            &format!("{events} events in {streams} streams, {compared} heads compared: {words}\n"),
        )
    };
    Ok(if found == 0 { printed } else { ExitCode::from(CHECK_SAYS_NO) })
}

fn line(finding: &Finding) -> String {
    let kind = serde_json::to_value(finding.kind).unwrap_or_default();
    let seq = finding.seq.map(|seq| format!(" seq {seq}")).unwrap_or_default();
    format!(
        "{} stream {}{seq}: {}",
        kind.as_str().unwrap_or_default(),
        finding.stream,
        finding.what
    )
}

/// Compares every head in a file. Returns how many heads it compared.
async fn compare(
    (db, keys): (&Db, &Keys),
    file: &HeadsFile<'_>,
    kept_from: UnixMillis,
    sink: &mut (dyn FnMut(Finding) + Send),
) -> Result<u64, Failed> {
    let unproven =
        |what: String| Finding { stream: Uuid::nil(), seq: None, kind: Kind::Unproven, what };
    let (mut compared, mut is_empty) = (0, true);
    for (at, line) in file.lines().enumerate() {
        for token in checkpoint::tokens_in(&line?) {
            is_empty = false;
            let Some(claims) = checkpoint::open(keys, &token) else {
                sink(unproven(format!(
                    "the heads in line {} of the file are damaged, or not signed with an audit key \
                     of this database",
                    at + 1
                )));
                continue;
            };
            for head in claims.heads {
                checkpoint::compare(db, &head, kept_from, sink).await?;
                compared += 1;
            }
        }
    }
    if is_empty {
        sink(unproven(format!("{} contains no heads", file.path.display())));
    }
    Ok(compared)
}

/// The operator's file of checkpoints.
struct HeadsFile<'a> {
    path: &'a Path,
    file: std::fs::File,
}

impl<'a> HeadsFile<'a> {
    fn open(path: &'a Path) -> Result<Self, Failed> {
        let file = std::fs::File::open(path).map_err(|error| failed(path, &error))?;
        Ok(Self { path, file })
    }

    fn lines(&self) -> impl Iterator<Item = Result<String, Failed>> {
        let lines = std::io::BufReader::new(&self.file).lines();
        lines.map(|line| line.map_err(|error| failed(self.path, &error)))
    }
}

/// An error of reading a file, with the name of the file.
fn failed(path: &Path, error: &std::io::Error) -> Failed {
    match error.kind() {
        std::io::ErrorKind::InvalidData => format!("{}: is not UTF-8", path.display()).into(),
        _ => format!("{}: {error}", path.display()).into(),
    }
}

async fn run_export(
    needs: &token::KeyDependencies,
    filter: &export::Filter,
    talk: Talk,
) -> Result<ExitCode, Failed> {
    let (db, issuer) = (&needs.db, &needs.tokens.issuer);
    let is_all = filter.since == 0 && filter.team.is_none() && filter.user.is_none();
    let progress = if std::io::stdout().is_terminal() {
        Progress::none()
    } else {
        let total = if is_all { verify::count(db).await.ok() } else { None };
        Progress::rows(total)
    };
    let (mut after, mut rows) = (export::START, 0);
    loop {
        let (lines, last) = export::page(db, filter, after).await?;
        let Some(last) = last else { break };
        after = last;
        rows += lines.lines().count() as u64;
        progress.at(rows);
        if print(talk, &lines) != ExitCode::SUCCESS {
            return Ok(ExitCode::FAILURE);
        }
    }
    progress.end();
    let (mut after, chain) = (Uuid::nil(), Chain::read(db, masters(needs)).await?);
    loop {
        let page = checkpoint::page(db, i64::MIN, after).await?;
        let Some(last) = page.last() else { break };
        after = last.stream;
        let chain = chain.as_ref().ok_or(ChainError::Sealed)?;
        let key = checkpoint::public_key(chain)?;
        let signed = checkpoint::sign(chain, issuer, needs.clock.now_seconds(), page)?;
        let line = json!({ "heads": signed, "key": key });
        if print(talk, &format!("{line}\n")) != ExitCode::SUCCESS {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
