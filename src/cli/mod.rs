//! The command line. Data goes to stdout, messages go to stderr, and scripts can distinguish the
//! exit codes.

mod admin;
mod arguments;
mod audit;
mod config;
mod core_dumps;
mod doctor;
mod ending;
mod healthcheck;
mod keys;
mod limits;
mod listing;
mod mail;
mod migrate;
mod open;
mod output;
mod reference;
mod teams;
mod users;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::config::{self as settings, Inputs, Loaded, Machine, Problems};
use crate::exit::{BAD_CONFIGURATION, FAILED, USAGE};
use output::{Talk, print};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 the command line is not valid, \
    3 a check found a problem, 69 a dependency cannot be reached, \
    78 the configuration is not valid.";

/// A self-hosted, multi-tenant auth daemon: JWTs, sessions, teams and projects over HTTP.
#[derive(Debug, Parser)]
#[command(name = "latchkey", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The arguments of every command.
#[derive(Args, Debug)]
struct Common {
    /// A configuration file in TOML or JSON. You can use this option several times: later files
    /// override earlier files
    #[arg(long, short, value_name = "FILE", global = true)]
    config: Vec<PathBuf>,
    /// Set one setting. This value overrides files and environment variables: `--set
    /// http.listen=127.0.0.1:8081`
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon. `latchkey` without a command does the same
    Serve,
    /// Update the schema of the database, or show its state
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Prove that no audit event was altered or removed, or export the events
    #[command(subcommand)]
    Audit(audit::Command),
    /// Manage accounts
    #[command(subcommand)]
    Users(users::Command),
    /// Manage teams
    #[command(subcommand)]
    Teams(teams::Command),
    /// Show which limit applies to an account or a client, or reset the limits of an account
    #[command(subcommand)]
    Limits(limits::Command),
    /// List the signing keys, rotate them, or declare a key compromised
    #[command(subcommand)]
    Keys(keys::Command),
    /// List unsent mails, send them again, or test whether mail can be sent
    #[command(subcommand)]
    Mail(mail::Command),
    /// Print or check the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Check everything that a daemon depends on, and say what to do. The exit code is 3 if a check
    /// fails, otherwise 0
    ///
    /// The command checks the database, Redis, the SMTP server and the mail queue. It checks the
    /// captcha vendor and the other services that the daemon contacts. On this machine it checks
    /// the configuration, the keys, the certificate, file modes, ports, the disk, and the time and
    /// memory for password hashes. It sends no mail, and it writes only the small test values that
    /// a daemon also writes when it checks its stores.
    Doctor,
    /// Print the OpenAPI document
    Openapi,
    /// Ask a running daemon whether it is ready. The exit code is 0 if it is ready, otherwise 1
    Healthcheck(healthcheck::Arguments),
    /// Print the version
    Version,
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of `latchkey`
    Man {
        /// Write one manual page for each command into this folder
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
        /// Print the page `docs/cli.md` instead of the manual page
        #[arg(long, conflicts_with = "dir")]
        markdown: bool,
    },
}

/// Runs the command that the command line names.
pub fn run() -> ExitCode {
    core_dumps::turn_off();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            arguments::print(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    let environment = settings::process_environment();
    let talk = Talk::new(settings::wants_no_color(&environment));
    let common = &cli.common;
    let inputs = || Inputs {
        files: settings::files(&common.config),
        environment: &environment,
        flags: &common.set,
        machine: Machine {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            log_on_terminal: std::io::stderr().is_terminal(),
        },
    };
    let load = || settings::load(&inputs()).and_then(crate::daemon::check_urls);
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => with_settings(talk, load(), |loaded| {
            // `_flush` is dropped after the runtime, because the runtime's tasks may log until they
            // end. `_flush` is also dropped when a panic ends the daemon.
            let _flush = crate::telemetry::FlushAtEnd;
            block_on(talk, crate::daemon::run(loaded, &load)).unwrap_or(ExitCode::from(FAILED))
        }),
        Command::Migrate(command) => {
            let loaded = settings::load_for_migrations(&inputs());
            with_settings(talk, loaded.and_then(crate::daemon::check_urls), |loaded| {
                block_on(talk, migrate::run(&command, &loaded.config, common.json, talk))
                    .unwrap_or(ExitCode::from(FAILED))
            })
        }
        Command::Audit(command) => with_settings(talk, load(), |loaded| {
            block_on(talk, audit::run(command, &loaded.config, common.json, talk))
                .unwrap_or(ExitCode::from(FAILED))
        }),
        Command::Users(command) => with_settings(talk, load(), |loaded| {
            block_on(talk, users::run(&command, &loaded.config, common.json, talk))
                .unwrap_or(ExitCode::from(FAILED))
        }),
        Command::Teams(command) => with_settings(talk, load(), |loaded| {
            block_on(talk, teams::run(&command, &loaded.config, common.json, talk))
                .unwrap_or(ExitCode::from(FAILED))
        }),
        Command::Limits(command) => with_settings(talk, load(), |loaded| {
            block_on(talk, limits::run(&command, &loaded.config, common.json, talk))
                .unwrap_or(ExitCode::from(FAILED))
        }),
        Command::Keys(command) => with_settings(talk, load(), |loaded| {
            block_on(talk, keys::run(&command, &loaded.config, common.json, talk))
                .unwrap_or(ExitCode::from(FAILED))
        }),
        Command::Mail(command) => with_settings(talk, load(), |loaded| {
            block_on(talk, mail::run(&command, &loaded.config, common.json, talk))
                .unwrap_or(ExitCode::from(FAILED))
        }),
        Command::Config(command) => config::run(&command, load, common.json, talk),
        Command::Doctor => {
            block_on(talk, doctor::run(load(), common.json, talk)).unwrap_or(ExitCode::from(FAILED))
        }
        Command::Openapi => print(talk, &crate::http::openapi::document_json()),
        Command::Healthcheck(arguments) => {
            let checked = healthcheck::run(&arguments, load, common.json, talk);
            block_on(talk, checked).unwrap_or(ExitCode::from(FAILED))
        }
        Command::Version => print(talk, &version(common.json)),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "latchkey", &mut out);
            print(talk, &String::from_utf8_lossy(&out))
        }
        Command::Man { markdown: true, .. } => print(talk, &reference::markdown(&Cli::command())),
        Command::Man { dir, .. } => man(dir.as_deref(), talk),
    }
}

/// The commands as the pages describe them: without the `help` commands, which would only repeat
/// the pages.
fn described() -> clap::Command {
    Cli::command().disable_help_subcommand(true)
}

fn version(json: bool) -> String {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    if json {
        return format!("{}\n", serde_json::json!({ "name": name, "version": version }));
    }
    format!("{name} {version}\n")
}

fn man(dir: Option<&std::path::Path>, talk: Talk) -> ExitCode {
    if let Some(dir) = dir {
        let written =
            std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(described(), dir));
        return match written {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => talk.fail(&format!("cannot write to {}: {error}", dir.display())),
        };
    }
    let mut out = Vec::new();
    match clap_mangen::Man::new(described()).render(&mut out) {
        Ok(()) => print(talk, &String::from_utf8_lossy(&out)),
        Err(error) => talk.fail(&format!("cannot create the manual page: {error}")),
    }
}

/// Continues with a valid configuration, or reports what is wrong with it.
fn with_settings(
    talk: Talk,
    loaded: Result<Loaded, Problems>,
    go_on: impl FnOnce(Loaded) -> ExitCode,
) -> ExitCode {
    match loaded {
        Ok(loaded) => go_on(loaded),
        Err(problems) => {
            talk.problems(&problems);
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

/// Runs a future on its own runtime, with one thread for each core.
fn block_on<T>(talk: Talk, future: impl Future<Output = T>) -> Option<T> {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => Some(runtime.block_on(future)),
        Err(error) => {
            talk.fail(&format!("cannot start threads: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_what_happens_without_a_command() {
        let cli = Cli::try_parse_from(["latchkey", "--config", "a.toml", "--config", "b.json"]);
        let cli = cli.unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.common.config.len(), 2);
    }

    #[test]
    fn a_kid_that_begins_with_a_hyphen_is_no_option() {
        for line in [&["-h_AbC", "--dry-run"][..], &["--dry-run", "--AbC"], &["-"]] {
            let line = ["latchkey", "keys", "retire"].iter().chain(line);
            assert!(Cli::try_parse_from(line.clone()).is_ok(), "{line:?}");
        }
        assert!(Cli::try_parse_from(["latchkey", "keys", "retire"]).is_err());
    }

    #[test]
    fn every_command_takes_json_and_config() {
        for command in
            [&["config", "print"][..], &["migrate", "status"], &["keys", "list"], &["version"]]
        {
            let line = ["latchkey"].iter().chain(command).chain(&["--json", "--config", "x.toml"]);
            let cli = Cli::try_parse_from(line).unwrap();
            assert!(cli.common.json, "{command:?}");
            assert_eq!(cli.common.config.len(), 1, "{command:?}");
        }
    }

    #[test]
    fn the_version_is_text_or_json() {
        assert!(version(false).starts_with("latchkey "));
        let json: serde_json::Value = serde_json::from_str(&version(true)).unwrap();
        assert_eq!(json["name"], "latchkey");
        assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    }
}
