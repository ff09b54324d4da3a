//! `latchkey migrate …`: applies and lists the migrations of the schema.

use std::process::ExitCode;

use clap::Subcommand;
use latchkey_migration::{Migrator, MigratorTrait as _, Schema};
use serde_json::json;

use super::ending::exit_code;
use super::open::Fault;
use super::output::{Talk, print, print_json, say_line};
use crate::config::Config;
use crate::daemon::files;
use crate::database::{Db, Work, sqlite_path};
use crate::exit::CHECK_SAYS_NO;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Apply the missing migrations. If several replicas start this command at the same time, it
    /// runs on one replica after the other
    Up,
    /// List the migrations. The exit code is 0 if all migrations are applied, and 3 if a migration
    /// is missing
    Status,
    /// List the migrations that `up` would apply, and change nothing
    Plan,
}

/// A migration's name, and whether the database has it.
type Migration = (String, State);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Applied,
    Pending,
}

pub async fn run(command: &Command, config: &Config, json: bool, talk: Talk) -> ExitCode {
    let database = config.database.for_migrations();
    let file = database.is_sqlite().then(|| sqlite_path(database.url.expose()));
    if let Some(file) = file.as_deref()
        && !file.exists()
    {
        if *command != Command::Up {
            // Reading the status of a database must not create the database.
            let all = Migrator::get_migration_files();
            let all =
                all.iter().map(|one| (one.name().to_owned(), State::Pending)).collect::<Vec<_>>();
            return report(*command, &all, json, talk);
        }
        if file.starts_with(&config.data_dir)
            && let Err(error) = files::make_data_dir(&config.data_dir)
        {
            return talk.fail(&format!(
                "cannot prepare the folder {}: {error}",
                config.data_dir.display()
            ));
        }
    }
    let db = match Db::connect(&database).await {
        Ok(db) => db,
        Err(error) => return Fault::Database(error).report(talk),
    };
    let work = if *command == Command::Up { Work::Migrate } else { Work::Serve };
    let schema = match db.schema_for(work).await {
        Ok(schema) => schema,
        Err(error) => return Fault::Migrations(error).report(talk),
    };
    if let Some(outside) = schema.beyond() {
        return Fault::Outside(outside).report(talk);
    }
    let before = migrations(&schema);
    if *command == Command::Up
        && let Err(error) = db.migrate().await
    {
        talk.fail(&format!("cannot migrate: {error}"));
        return ExitCode::from(exit_code(&error));
    }
    report(*command, &before, json, talk)
}

/// Every migration with its state.
fn migrations(schema: &Schema) -> Vec<Migration> {
    let state = |name: &str| {
        let is_pending = schema.pending.iter().any(|one| one == name);
        if is_pending { State::Pending } else { State::Applied }
    };
    let all = Migrator::get_migration_files();
    all.iter().map(|one| (one.name().to_owned(), state(one.name()))).collect()
}

fn report(command: Command, migrations: &[Migration], json: bool, talk: Talk) -> ExitCode {
    let pending: Vec<String> = migrations
        .iter()
        .filter(|(_, state)| *state == State::Pending)
        .map(|(name, _)| name.clone())
        .collect();
    let printed = match command {
        Command::Up if json => print_json(talk, &json!({ "applied": pending })),
        Command::Plan if json => print_json(talk, &json!({ "pending": pending })),
        Command::Status if json => print_json(
            talk,
            &migrations
                .iter()
                .map(|(name, state)| json!({ "name": name, "applied": *state == State::Applied }))
                .collect(),
        ),
        Command::Up | Command::Plan => {
            let words = match (command, pending.is_empty()) {
                (_, true) => "the schema is up to date",
                (Command::Up, false) => "applied:",
                (_, false) => "to be applied:",
            };
            say_line(words);
            print(talk, &lines(pending.iter().map(String::as_str)))
        }
        Command::Status => {
            let line = |(name, state): &Migration| match state {
                State::Applied => format!("applied  {name}"),
                State::Pending => format!("pending  {name}"),
            };
            let all: Vec<String> = migrations.iter().map(line).collect();
            print(talk, &lines(all.iter().map(String::as_str)))
        }
    };
    if command == Command::Status && !pending.is_empty() {
        return ExitCode::from(CHECK_SAYS_NO);
    }
    printed
}

fn lines<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.flat_map(|line| [line, "\n"]).collect()
}
