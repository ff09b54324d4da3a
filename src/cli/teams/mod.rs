//! `latchkey teams …`: manages teams, also while daemons run.

mod list;

use std::error::Error;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::ending::broken_off;
use super::open;
use super::open::Opened;
use super::output::{Talk, print_json, say_line};
use crate::audit::Changed;
use crate::config::Config;
use crate::exit::CHECK_SAYS_NO;
use crate::team::TeamState;
use crate::team::operator::{self, Which};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List teams, the oldest first
    List(list::List),
    /// Show a team: its owners, whether its members need a second factor, and how many members,
    /// members without a second factor, invitations, projects and keys it has
    Show {
        /// The team's id or slug
        #[arg(value_name = "ID|SLUG")]
        which: Which,
    },
    /// Disable a team. Its tokens and keys stop working at once, but nothing is deleted
    Disable {
        /// The team's id or slug
        #[arg(value_name = "ID|SLUG")]
        which: Which,
    },
    /// Enable a disabled team again. Everything in the team is as it was before
    Enable {
        /// The team's id or slug
        #[arg(value_name = "ID|SLUG")]
        which: Which,
    },
}

pub async fn run(command: &Command, config: &Config, json: bool, talk: Talk) -> ExitCode {
    let opened = match open::stores(config).await {
        Ok(opened) => opened,
        Err(fault) => return fault.report(talk),
    };
    let done = match command {
        Command::List(filter) => list::list(filter, &opened, json, talk).await,
        Command::Show { which } => list::show(which, &opened, json, talk).await,
        Command::Disable { which } => status(which, TeamState::Disabled, &opened, json, talk).await,
        Command::Enable { which } => status(which, TeamState::Active, &opened, json, talk).await,
    };
    done.unwrap_or_else(|error| broken_off(talk, error.as_ref()))
}

async fn status(
    which: &Which,
    status: TeamState,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let changed = operator::set_state(&opened.change(), which, status).await?;
    let (id, is_new) = match changed {
        Changed::Gone => return Ok(nothing(talk)),
        Changed::Now(id) => (id, true),
        Changed::Already(id) => (id, false),
    };
    if json {
        return Ok(print_json(talk, &json!({ "id": id, "changed": is_new })));
    }
    let word = if status == TeamState::Active { "enabled" } else { "disabled" };
    say_line(&format!("{id} {word}{}", if is_new { "" } else { " (no change)" }));
    Ok(ExitCode::SUCCESS)
}

/// Reports that no team has this id or slug.
fn nothing(talk: Talk) -> ExitCode {
    talk.fail("there is no team with this id or slug");
    ExitCode::from(CHECK_SAYS_NO)
}
