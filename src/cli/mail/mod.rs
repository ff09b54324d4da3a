//! `latchkey mail …`: shows mails that wait or were given up, sends them again, and tests whether
//! mail can be sent.

mod list;
mod retry;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

use super::ending::exit_code;
use super::open;
use super::output::Talk;
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List unsent mails (mails that wait, and mails that were given up), the oldest first
    List(list::List),
    /// Retry mails now, including mails that were given up. A daemon sends the mails within 5
    /// seconds
    Retry(retry::Retry),
    /// Send one mail through `mail.smtp_url` and report each step. This command needs no database
    Test(test::Test),
}

pub async fn run(command: &Command, config: &Config, json: bool, talk: Talk) -> ExitCode {
    if let Command::Test(test) = command {
        return test::run(test, config, json, talk).await;
    }
    let db = match open::database(config).await {
        Ok(db) => db,
        Err(fault) => return fault.report(talk),
    };
    let done = match command {
        Command::List(filter) => list::list(filter, &db, json, talk).await,
        Command::Retry(retry) => retry::retry(retry, &db, json, talk).await,
        Command::Test(_) => return ExitCode::SUCCESS,
    };
    done.unwrap_or_else(|error| {
        talk.fail(&format!("the outbox in the database cannot be used: {error}"));
        ExitCode::from(exit_code(&error))
    })
}
