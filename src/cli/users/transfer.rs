//! `latchkey users import` and `latchkey users export`. They read and write accounts as a stream of
//! JSON lines. An import remembers only a digest of each line.

use std::error::Error;
use std::fmt;
use std::fs::{File, Permissions};
use std::io::{
    self, BufRead as _, BufReader, BufWriter, IsTerminal as _, Read as _, Seek as _, Write,
};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use serde_json::json;
use uuid::Uuid;

use super::super::open::{self, Opened};
use super::super::output::{Progress, Talk, print_json, say_line};
use super::lines::Lines;
use crate::account::operator;
use crate::account::transfer::export::{self, Hashes};
use crate::account::transfer::import::{self, BATCH_LINES, LineIds, Outcome, TotpSecrets, Writing};
use crate::account::transfer::line::LINE_BYTES_MAX;
use crate::account::transfer::repeats::{Earlier, Repeat};
use crate::account::transfer::{Line, LineError};
use crate::config::Config;
use crate::daemon::read_master_key;
use crate::database::{DatabaseError, Db};
use crate::exit::FAILED;
use crate::password::Setup;

/// A terminal shows at most this many refused lines one by one. Further refused lines are only
/// counted. The report contains all refused lines.
const TOLD_MAX: u64 = 20;

#[derive(Args, Debug)]
pub struct Import {
    /// A file of JSON lines with one account in each line, or `-` for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write a JSON line `{line, member, detail}` to this file for each refused line. The report of
    /// an earlier import is overwritten
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// Read and check every line, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Import the secrets of authenticator apps (`secret` in `factors`), so that the apps still
    /// work. Without this option, no second factor is imported
    #[arg(long)]
    with_totp_secrets: bool,
}

#[derive(Args, Debug)]
pub struct Export {
    /// Write to this file instead of stdout. Only your Unix user can read the file (mode 0600)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Include the password hashes, so that the passwords are still valid after an import
    #[arg(long)]
    with_password_hashes: bool,
}

/// Counts what happened to the lines so far.
struct Tally {
    imported: u64,
    exists: u64,
    refused: u64,
    /// The imported accounts that lack a factor of their line.
    without_factors: u64,
    /// Whether the import reads the secrets of authenticator apps.
    with_totp_secrets: bool,
    report: Option<BufWriter<File>>,
}

impl Tally {
    fn new(import: &Import) -> Result<Self, Box<dyn Error>> {
        let report = import.errors.as_deref().map(report_file).transpose()?.map(BufWriter::new);
        let with_totp_secrets = import.with_totp_secrets;
        let without_factors = 0;
        Ok(Self { imported: 0, exists: 0, refused: 0, without_factors, with_totp_secrets, report })
    }

    fn refuse(&mut self, error: &LineError, progress: &Progress) -> io::Result<()> {
        self.refused += 1;
        if self.refused <= TOLD_MAX {
            progress.say(&error.to_string());
        } else if self.refused == TOLD_MAX + 1 {
            progress
                .say("more lines are refused; use --errors FILE to write all of them to a file");
        }
        match &mut self.report {
            Some(report) => writeln!(report, "{}", json!(error)),
            None => Ok(()),
        }
    }

    /// Counts the outcomes of a batch, and empties the batch.
    fn count(
        &mut self,
        batch: &mut Vec<Line>,
        outcomes: Vec<Outcome>,
        progress: &Progress,
    ) -> io::Result<()> {
        for (line, outcome) in batch.drain(..).zip(outcomes) {
            let (member, detail) = match outcome {
                Outcome::Imported => {
                    self.imported += 1;
                    self.without_factors += u64::from(line.loses_factors(self.with_totp_secrets));
                    continue;
                }
                Outcome::Exists => {
                    self.exists += 1;
                    continue;
                }
                Outcome::EmailTaken => ("email", "another account has this email address"),
                Outcome::IdTaken => ("id", "another account has this id"),
            };
            let error = LineError { line: line.number, member, detail: detail.to_owned() };
            self.refuse(&error, progress)?;
        }
        Ok(())
    }

    fn finish(mut self, word: &str, json: bool, talk: Talk) -> Result<ExitCode, Box<dyn Error>> {
        if let Some(report) = &mut self.report {
            report.flush()?;
        }
        let Self { imported, exists, refused, without_factors, .. } = self;
        if json {
            let counts = json!({
                "imported": imported,
                "exists": exists,
                "refused": refused,
                "withoutFactors": without_factors,
            });
            print_json(talk, &counts);
        } else {
            say_line(&format!("{imported} {word}, {exists} already existed, {refused} refused"));
            if without_factors > 0 {
                say_line(&format!(
                    "{without_factors} of them without some or all of their second factors: these \
                     users have to add them again"
                ));
            }
        }
        Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    }
}

/// An import that could not continue.
#[derive(Debug)]
struct Stopped {
    before: u64,
    imported: u64,
    cause: DatabaseError,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, imported, cause } = self;
        write!(
            f,
            "the import stopped before line {before}, after it imported {imported} accounts: \
             {cause}; run the import again to continue"
        )
    }
}

impl Error for Stopped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// What an import does with the lines that it has read.
enum Target<'a> {
    /// It writes their accounts.
    Write { opened: &'a Opened, writing: Box<Writing> },
    /// It compares them with the accounts of the database.
    Compare { db: Db, ids: LineIds },
    /// It does nothing, because there is no database.
    Nothing,
}

impl Target<'_> {
    async fn take(&self, batch: &[Line]) -> Result<Vec<Outcome>, DatabaseError> {
        match self {
            Self::Write { opened, writing } => {
                import::write(&opened.change(), writing, batch).await
            }
            Self::Compare { db, ids } => import::foresee(db, ids, batch).await,
            Self::Nothing => Ok(vec![Outcome::Imported; batch.len()]),
        }
    }
}

/// Reads and checks every line, compares it with the database if there is one, and writes nothing.
pub(super) async fn check(
    import: &Import,
    config: &Config,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let target = match open::keys(config).await {
        Ok(keys) => Target::Compare { ids: LineIds::new(&keys.master), db: keys.db },
        Err(fault) => {
            say_line(&format!("the lines are not compared with the database: {fault}"));
            Target::Nothing
        }
    };
    read_lines(import, config, &target).await?.finish("would be imported", json, talk)
}

pub(super) async fn import(
    import: &Import,
    config: &Config,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let totp_secrets = if import.with_totp_secrets {
        let keys = open::keys_in(config, opened.db.clone());
        let keys = keys.map_err(|fault| fault.to_string())?;
        TotpSecrets::Read(keys.factor_keys().await?)
    } else {
        TotpSecrets::LeftOut
    };
    let writing = Writing {
        ids: LineIds::new(&read_master_key(config)?),
        no_password: super::create::hasher(&config.password)?.decoy().to_owned(),
        totp_secrets,
    };
    let target = Target::Write { opened, writing: Box::new(writing) };
    read_lines(import, config, &target).await?.finish("imported", json, talk)
}

async fn read_lines(
    import: &Import,
    config: &Config,
    target: &Target<'_>,
) -> Result<Tally, Box<dyn Error>> {
    let hashing = Setup::of(&config.password);
    let mut lines = Lines::open(&import.file)?;
    let progress = Progress::bytes(lines.bytes);
    let mut tally = Tally::new(import)?;
    let mut earlier = Earlier::default();
    let mut batch = Vec::with_capacity(BATCH_LINES);
    let mut at_end = false;
    while !at_end {
        match lines.next(&hashing)? {
            Some(Ok(line)) => match earlier.compare(&line) {
                Ok(Repeat::No) => batch.push(line),
                Ok(Repeat::Same) => tally.exists += 1,
                Err(error) => tally.refuse(&error, &progress)?,
            },
            Some(Err(error)) => tally.refuse(&error, &progress)?,
            None => at_end = true,
        }
        if batch.len() < BATCH_LINES && (!at_end || batch.is_empty()) {
            continue;
        }
        let started = Instant::now();
        let outcomes = target.take(&batch).await.map_err(|cause| Stopped {
            before: batch[0].number,
            imported: tally.imported,
            cause,
        })?;
        tally.count(&mut batch, outcomes, &progress)?;
        progress.at(lines.bytes_read);
        if let Target::Write { opened, .. } = target
            && !at_end
        {
            import::rest(&opened.db, started.elapsed()).await;
        }
    }
    progress.end();
    Ok(tally)
}

pub(super) async fn export(
    export: &Export,
    opened: &Opened,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let hashes = if export.with_password_hashes { Hashes::Included } else { Hashes::LeftOut };
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match &export.out {
        Some(path) => Box::new(private_file(path)?),
        None => Box::new(io::stdout()),
    });
    let progress = if export.out.is_none() && io::stdout().is_terminal() {
        Progress::none()
    } else {
        Progress::rows(operator::count(opened.db.reader()).await.ok())
    };
    let (mut after, mut rows) = (Uuid::nil(), 0);
    loop {
        let page = export::page(&opened.db, after, hashes).await?;
        let Some(last) = page.last().and_then(|record| record.id) else { break };
        after = last;
        for record in &page {
            let line = serde_json::to_string(record)?;
            match writeln!(out, "{line}") {
                // The reader has closed the pipe (`| head`).
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(ExitCode::SUCCESS);
                }
                other => other?,
            }
        }
        rows += page.len() as u64;
        progress.at(rows);
    }
    match out.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        other => other?,
    }
    progress.end();
    let _ = talk;
    say_line(&format!("{rows} accounts exported"));
    Ok(ExitCode::SUCCESS)
}

/// Creates a file that only the caller can read, because it contains personal data. Never
/// overwrites an existing file.
fn private_file(path: &Path) -> Result<File, Box<dyn Error>> {
    let options = File::options().write(true).create_new(true).mode(0o600).open(path);
    options.map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

/// Opens the file of the report. If the file is the report of an earlier run, it is overwritten,
/// because this run reports the same refusals again. Any other file is left as it is, and the run
/// fails.
fn report_file(path: &Path) -> Result<File, Box<dyn Error>> {
    let cannot = |why: &dyn std::fmt::Display| format!("cannot write {}: {why}", path.display());
    if path.symlink_metadata().is_ok_and(|it| !it.is_file()) {
        return Err(cannot(&"it is not a regular file").into());
    }
    let options =
        File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut file = options.map_err(|error| cannot(&error))?;
    // The report of a run that was killed is empty, or has complete lines and then perhaps a
    // partial line.
    let mut first = String::new();
    BufReader::new(&file)
        .take(LINE_BYTES_MAX as u64)
        .read_line(&mut first)
        .map_err(|error| cannot(&error))?;
    if !first.is_empty() && !is_of_a_report(&first) {
        return Err(cannot(&"the file exists and is not the report of an import").into());
    }
    file.set_permissions(Permissions::from_mode(0o600))
        .and_then(|()| file.set_len(0))
        .and_then(|()| file.rewind())
        .map_err(|error| cannot(&error))?;
    Ok(file)
}

/// Whether the line is one that [`Tally::refuse`] writes.
fn is_of_a_report(line: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).is_ok_and(|it| {
        it.len() == 3 && ["line", "member", "detail"].iter().all(|key| it.contains_key(*key))
    })
}
