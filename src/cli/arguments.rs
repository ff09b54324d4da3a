//! Prints clap's errors about a command line. Secrets that an operator typed into the command line
//! by mistake are hidden.

use std::io::IsTerminal as _;

use super::output::say_in_time;
use crate::config::process_arguments;

/// Prints clap's error, help or version text. If the text quotes a URL or the value of a
/// `key=value` pair, `***` replaces the quoted part.
pub fn print(error: &clap::Error) {
    let text = error.render().to_string();
    let hidden = hide(&text, &process_arguments());
    if !error.use_stderr() {
        // If this text cannot be printed, there is no other way to report the error.
        let _ = error.print();
    } else if hidden == text {
        say_in_time(in_colour(error));
    } else {
        say_in_time(hidden);
    }
}

/// The text as clap prints it: in colour on a terminal.
fn in_colour(error: &clap::Error) -> String {
    let text = error.render();
    if std::io::stderr().is_terminal() { text.ansi().to_string() } else { text.to_string() }
}

fn hide(text: &str, words: &[String]) -> String {
    let mut text = text.to_owned();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or(("", word));
        let is_option = key.starts_with('-') || key.is_empty();
        let may_be_secret = !is_option || value.contains("://") || value.contains('=');
        if key.contains("://") {
            text = text.replace(word.as_str(), "***");
        } else if may_be_secret && !value.is_empty() {
            let shown = if key.is_empty() { "***".to_owned() } else { format!("{key}=***") };
            text = text.replace(word.as_str(), &shown);
            text = text.replace(&format!("'{value}'"), "'***'");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_the_wrong_place_is_not_repeated() {
        for word in [
            "database.url=postgres://u:hunter2@h/d",
            "postgres://u:hunter2@h/d?a=b",
            "--sett=secrets.master_key=hunter2",
            "secrets.master_key=hunter2==",
        ] {
            let said = format!("unexpected argument '{word}' found; use '-- {word}'");
            let shown = hide(&said, &["config".to_owned(), word.to_owned()]);
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("***"), "{shown}");
        }
        let value = "invalid value 'database.url=hunter2' for '--limit <N>'";
        let shown = hide(value, &["--limit=database.url=hunter2".to_owned()]);
        assert!(!shown.contains("hunter2"), "{shown}");
        for (said, word) in [
            ("unrecognized subcommand 'doctr'", "doctr"),
            ("invalid value 'many' for '--limit <N>'", "--limit=many"),
        ] {
            assert_eq!(hide(said, &[word.to_owned()]), said);
        }
    }
}
