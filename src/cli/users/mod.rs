//! `latchkey users …`: accounts, beside running daemons.

mod change;
mod create;
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
        /// Its id or address
        #[arg(value_name = "ID|EMAIL")]
        who: Who,
    },
    /// Make an account; without a password its person is mailed a link that sets one
    Create(create::Create),
    /// Lock an account and end its sessions on every node
    Disable {
        /// Its id or address
        #[arg(value_name = "ID|EMAIL")]
        who: Who,
    },
    /// Let a disabled account in again
    Enable {
        /// Its id or address
        #[arg(value_name = "ID|EMAIL")]
        who: Who,
    },
    /// End every session of an account
    RevokeSessions {
        /// Its id or address
        #[arg(value_name = "ID|EMAIL")]
        who: Who,
    },
    /// Read accounts from JSON lines; run again, it goes on where it stopped
    Import(transfer::Import),
    /// Write accounts as JSON lines
    Export(transfer::Export),
}

/// Does it.
pub async fn run(command: &Command, config: &Config, json: bool, talk: Talk) -> ExitCode {
    if let Command::Import(import) = command
        && import.dry_run
    {
        return transfer::check(import, config, json, talk);
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
        Command::Import(import) => transfer::import(import, config, &opened, json, talk).await,
        Command::Export(export) => transfer::export(export, &opened, talk).await,
    };
    done.unwrap_or_else(|error| broken_off(talk, error.as_ref()))
}

/// There is nobody of that name.
fn nobody(talk: Talk) -> ExitCode {
    talk.fail("there is no such account");
    ExitCode::from(CHECK_SAYS_NO)
}
