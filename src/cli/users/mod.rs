//! `latchkey users …`: manages accounts, also while daemons run.

mod change;
mod create;
mod lines;
mod list;
mod transfer;

use std::process::ExitCode;

use clap::Subcommand;

use super::ending::broken_off;
use super::open;
use super::output::Talk;
use crate::account::operator::Who;
use crate::config::Config;
use crate::exit::CHECK_SAYS_NO;
use crate::user::UserState;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List accounts, the oldest first
    List(list::List),
    /// Show an account with its teams and sessions
    Show {
        /// The account's id or email address
        #[arg(value_name = "ID|EMAIL")]
        who: Who,
    },
    /// Create an account. If you give no password, the user gets a mail with a link that sets a
    /// password
    Create(create::Create),
    /// Disable an account and end its sessions on every daemon
    Disable {
        /// The account's id or email address
        #[arg(value_name = "ID|EMAIL")]
        who: Who,
    },
    /// Enable a disabled account again
    Enable {
        /// The account's id or email address
        #[arg(value_name = "ID|EMAIL")]
        who: Who,
    },
    /// End every session of an account
    RevokeSessions {
        /// The account's id or email address
        #[arg(value_name = "ID|EMAIL")]
        who: Who,
    },
    /// Remove the second factors and recovery codes of a user who has lost them, and end every
    /// session of the user. The user gets a mail
    ResetFactors {
        /// The account's id or email address
        #[arg(value_name = "ID|EMAIL")]
        who: Who,
    },
    /// Import accounts from JSON lines. If the import stops, run the command again to continue
    Import(transfer::Import),
    /// Export accounts as JSON lines
    Export(transfer::Export),
}

pub async fn run(command: &Command, config: &Config, json: bool, talk: Talk) -> ExitCode {
    if let Command::Import(import) = command
        && import.dry_run
    {
        let checked = transfer::check(import, config, json, talk).await;
        return checked.unwrap_or_else(|error| broken_off(talk, error.as_ref()));
    }
    let opened = match open::stores(config).await {
        Ok(opened) => opened,
        Err(fault) => return fault.report(talk),
    };
    let done = match command {
        Command::List(filter) => list::list(filter, &opened, json, talk).await,
        Command::Show { who } => list::show(who, &opened, json, talk).await,
        Command::Create(account) => create::create(account, config, &opened, json, talk).await,
        Command::Disable { who } => {
            change::status(who, UserState::Disabled, &opened, json, talk).await
        }
        Command::Enable { who } => {
            change::status(who, UserState::Active, &opened, json, talk).await
        }
        Command::RevokeSessions { who } => change::revoke_sessions(who, &opened, json, talk).await,
        Command::ResetFactors { who } => change::reset_factors(who, &opened, json, talk).await,
        Command::Import(import) => transfer::import(import, config, &opened, json, talk).await,
        Command::Export(export) => transfer::export(export, &opened, talk).await,
    };
    done.unwrap_or_else(|error| broken_off(talk, error.as_ref()))
}

const NOBODY: &str = "there is no account with this id or email address";

/// Reports that no account has this id or email address.
fn nobody(talk: Talk) -> ExitCode {
    talk.fail(NOBODY);
    ExitCode::from(CHECK_SAYS_NO)
}
