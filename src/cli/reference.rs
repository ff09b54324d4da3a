//! Generates the page `docs/cli.md` from the command line itself.

use std::fmt::Write as _;

use clap::{Arg, Command};

/// The text before the commands.
const HEAD: &str = include_str!("reference.md");

/// Commands for which `--json` changes nothing, and why.
const WITHOUT_JSON: &[(&str, &str)] = &[
    ("serve", "prints no data. `log.format` sets the format of the log"),
    ("users export", "always prints JSON lines"),
    ("audit export", "always prints JSON lines"),
    ("audit keys", "always prints JSON lines"),
    ("keys export-jwks", "always prints JSON"),
    ("config schema", "always prints JSON"),
    ("openapi", "always prints JSON"),
    ("completions", "prints a script for a shell"),
    ("man", "prints manual pages"),
];

pub fn markdown(cli: &Command) -> String {
    let mut cli = cli.clone().disable_help_subcommand(true);
    cli.build();
    let mut out = HEAD.to_owned();
    arguments(cli.get_arguments().filter(|it| it.is_global_set()), &mut out);
    for (path, command) in leaves(&cli) {
        let about = command.get_long_about().or_else(|| command.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        let _ = write!(out, "\n## `latchkey {path}`\n");
        for paragraph in about.split("\n\n") {
            let _ = write!(out, "\n{}.\n", paragraph.trim_end_matches('.'));
        }
        if let Some((_, why)) = WITHOUT_JSON.iter().find(|(name, _)| *name == path) {
            let _ = write!(out, "\n`--json` has no effect: the command {why}.\n");
        }
        let own: Vec<&Arg> = command.get_arguments().filter(|it| !it.is_global_set()).collect();
        if own.iter().any(|it| is_shown(it)) {
            out.push('\n');
            arguments(own.into_iter(), &mut out);
        }
    }
    out
}

/// Returns every command that does something, with its words after `latchkey`.
fn leaves(cli: &Command) -> Vec<(String, &Command)> {
    let mut found = Vec::new();
    for command in cli.get_subcommands() {
        let name = command.get_name();
        if command.has_subcommands() {
            let below = leaves(command);
            found.extend(below.into_iter().map(|(path, it)| (format!("{name} {path}"), it)));
        } else {
            found.push((name.to_owned(), command));
        }
    }
    found
}

fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version")
}

fn arguments<'a>(all: impl Iterator<Item = &'a Arg>, out: &mut String) {
    out.push_str("| argument | meaning |\n|---|---|\n");
    for argument in all.filter(|it| is_shown(it)) {
        let value = argument.get_value_names().filter(|_| argument.get_action().takes_values());
        let value = value.map(|names| names.iter().map(ToString::to_string).collect::<String>());
        let value = value.unwrap_or_default();
        let name = match (argument.get_long(), value.as_str()) {
            (None, value) => value.to_owned(),
            (Some(long), "") => format!("--{long}"),
            (Some(long), value) => format!("--{long} {value}"),
        };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let mut meaning = help.replace('|', "\\|");
        let values: Vec<String> = argument
            .get_possible_values()
            .iter()
            .map(|it| format!("`{}`", it.get_name()))
            .collect();
        if !values.is_empty() && argument.get_action().takes_values() {
            let _ = write!(meaning, ": {}", values.join(", "));
        }
        let default = argument.get_default_values().first().filter(|_| {
            argument.get_action().takes_values() && !argument.is_hide_default_value_set()
        });
        if let Some(default) = default {
            let _ = write!(meaning, " (default `{}`)", default.to_string_lossy());
        }
        let _ = writeln!(out, "| `{}` | {meaning} |", name.replace('|', "\\|"));
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_page_is_the_command_line() {
        let page = include_str!("../../docs/cli.md");
        assert_eq!(
            markdown(&Cli::command()),
            page,
            "make it again: latchkey man --markdown > docs/cli.md"
        );
    }

    #[test]
    fn every_command_and_argument_says_what_it_is() {
        let mut cli = Cli::command();
        cli.build();
        for (path, command) in leaves(&cli) {
            assert!(command.get_about().is_some(), "{path} has no description");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path}: {}", argument.get_id());
            }
        }
        let paths: Vec<String> = leaves(&cli).into_iter().map(|(path, _)| path).collect();
        for (path, _) in WITHOUT_JSON {
            assert!(paths.iter().any(|it| it == path), "{path} is gone");
        }
    }
}
