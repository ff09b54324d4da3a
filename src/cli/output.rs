//! Data on stdout, talk on stderr, colour only on a terminal and without `NO_COLOR`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::{Problem, Problems, table};
use crate::exit::FAILED;
use crate::secret::redact;

/// How long a process that ends waits for a reader of its stderr.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Says things to the person, on stderr.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    style: Style,
}

#[derive(Clone, Copy, Debug)]
enum Style {
    Plain,
    Colour,
}

impl Talk {
    /// Talks in colour where stderr is a terminal and nobody minds.
    pub fn new(no_color: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { style: if is_terminal && !no_color { Style::Colour } else { Style::Plain } }
    }

    /// Everything that is wrong with a configuration.
    pub fn problems(self, problems: &Problems) {
        let text = problems.to_string();
        say_in_time(text.replacen("error:", self.label("error:", "31"), 1));
    }

    /// What is allowed and probably not meant.
    pub fn warnings(self, warnings: &[Problem]) {
        if warnings.is_empty() {
            return;
        }
        let noun = if warnings.len() == 1 { "warning" } else { "warnings" };
        let label = self.label("warning:", "33");
        say(&format!(
            "{label} {} {noun} in the configuration\n{}",
            warnings.len(),
            table(warnings)
        ));
    }

    /// What went wrong, without what a URL in it may hide; gives the exit code of failure.
    pub fn fail(self, text: &str) -> ExitCode {
        say_in_time(format!("{} {}\n", self.label("error:", "31"), redact(text)));
        ExitCode::from(FAILED)
    }

    fn label(self, label: &'static str, colour: &str) -> &'static str {
        match (self.style, colour) {
            (Style::Plain, _) => label,
            (Style::Colour, "31") => "\u{1b}[1;31merror:\u{1b}[0m",
            (Style::Colour, _) => "\u{1b}[1;33mwarning:\u{1b}[0m",
        }
    }
}

/// Data on stdout; a reader that went away (`| head`) is no failure.
pub fn print(talk: Talk, data: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(data.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => talk.fail(&format!("cannot write to stdout: {error}")),
    }
}

/// JSON on stdout, indented.
pub fn print_json(talk: Talk, data: &serde_json::Value) -> ExitCode {
    print(talk, &format!("{data:#}\n"))
}

/// One line of talk.
pub fn say_line(text: &str) {
    say(&format!("{text}\n"));
}

fn say(text: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The last words of a process that ends. A reader of stderr that stalls loses them after [`LAST_WORDS`]: a start that
/// fails has to end.
pub fn say_in_time(text: String) {
    let (done, written) = mpsc::channel();
    let writer = thread::Builder::new().name("stderr".to_owned()).spawn(move || {
        say(&text);
        // Without a receiver the process is ending.
        let _ = done.send(());
    });
    if writer.is_ok() {
        let _ = written.recv_timeout(LAST_WORDS);
    }
}

/// How far long work has come: a bar on a terminal, nothing elsewhere.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of a file's bytes; of an unknown number where there is no file.
    pub fn bytes(total: Option<u64>) -> Self {
        let shown = "{bar:30} {percent}%  {binary_bytes_per_sec}  {eta} left";
        Self::new(total, shown, "{spinner} {binary_bytes}  {binary_bytes_per_sec}")
    }

    /// Of rows.
    pub fn rows(total: Option<u64>) -> Self {
        Self::new(total, "{bar:30} {pos} of {len}  {eta} left", "{spinner} {pos}")
    }

    /// None: where the data itself goes to the terminal, a bar would stand in its way.
    pub fn none() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    fn new(total: Option<u64>, known: &str, unknown: &str) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let template = if total.is_some() { known } else { unknown };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// So far.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Says a line above the bar.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| say_line(text));
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
