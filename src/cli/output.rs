//! Output of the commands: data on stdout, and messages on stderr. Colour is used only on a
//! terminal and without `NO_COLOR`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::{Problem, Problems, table};
use crate::exit::FAILED;
use crate::secret::redact;

/// How long a process that ends waits for the reader of its stderr.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Writes messages to stderr.
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
    /// Uses colour if stderr is a terminal and `no_color` is false.
    pub fn new(no_color: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { style: if is_terminal && !no_color { Style::Colour } else { Style::Plain } }
    }

    /// Writes every problem of a configuration.
    pub fn problems(self, problems: &Problems) {
        let text = problems.to_string();
        say_in_time(text.replacen("error:", self.label("error:", "31"), 1));
    }

    /// Writes the settings that are allowed but probably not intended.
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

    /// Writes `text`, which says what went wrong. Secrets in the URLs of the text are hidden.
    /// Returns the exit code of failure.
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

/// Prints data to stdout. A reader that has closed the pipe (`| head`) is not a failure.
pub fn print(talk: Talk, data: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(data.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => talk.fail(&format!("cannot write to stdout: {error}")),
    }
}

/// Prints indented JSON to stdout.
pub fn print_json(talk: Talk, data: &serde_json::Value) -> ExitCode {
    print(talk, &format!("{data:#}\n"))
}

/// Writes one line to stderr.
pub fn say_line(text: &str) {
    say(&format!("{text}\n"));
}

fn say(text: &str) {
    // If stderr is closed, there is no other way to report the error.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Writes the last message of a process that ends. If the reader of stderr stalls, the message is
/// lost after [`LAST_WORDS`], because a start that fails has to end.
pub fn say_in_time(text: String) {
    let (done, written) = mpsc::channel();
    let writer = thread::Builder::new().name("stderr".to_owned()).spawn(move || {
        say(&text);
        // Without a receiver, the process is already ending.
        let _ = done.send(());
    });
    if writer.is_ok() {
        let _ = written.recv_timeout(LAST_WORDS);
    }
}

/// The progress of long work: a bar on a terminal, and nothing if stderr is not a terminal.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Counts the bytes of a file. The total is unknown if there is no file.
    pub fn bytes(total: Option<u64>) -> Self {
        let shown = "{bar:30} {percent}%  {binary_bytes_per_sec}  {eta} left";
        Self::new(total, shown, "{spinner} {binary_bytes}  {binary_bytes_per_sec}")
    }

    /// Counts rows.
    pub fn rows(total: Option<u64>) -> Self {
        Self::new(total, "{bar:30} {pos} of {len}  {eta} left", "{spinner} {pos}")
    }

    /// A progress that shows nothing. Use it if the data itself goes to the terminal, because a bar
    /// would be in the way.
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

    /// Sets how much is done.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Writes a line above the bar.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| say_line(text));
    }

    /// Removes the bar.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
