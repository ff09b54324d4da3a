//! The tables, in Markdown. They go to stdout, and to a file if one is given.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use hdrhistogram::Histogram;

use crate::Result;
use crate::load::Outcome;

/// The text of all tables of a run.
#[derive(Debug, Default)]
pub struct Report {
    text: String,
}

impl Report {
    /// Adds a paragraph.
    pub fn say(&mut self, line: &str) {
        self.put(&format!("\n{line}"));
    }

    /// Begins a table.
    pub fn header(&mut self, columns: &[&str]) {
        self.put("");
        self.row(columns);
        self.row(&vec!["---"; columns.len()]);
    }

    pub fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        let mut line = String::from("|");
        for cell in cells {
            let _ = write!(line, " {} |", cell.as_ref());
        }
        self.put(&line);
    }

    fn put(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub fn write(&self, path: Option<&Path>) -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        Ok(fs::write(path, &self.text).map_err(|error| format!("{}: {error}", path.display()))?)
    }
}

/// The median of the values that are numbers.
pub fn median(values: &[f64]) -> f64 {
    let mut values: Vec<f64> = values.iter().copied().filter(|it| it.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A latency of a histogram in milliseconds.
pub fn latency(latencies: &Histogram<u64>, quantile: f64) -> String {
    if latencies.is_empty() {
        return "–".to_owned();
    }
    let micros = u32::try_from(latencies.value_at_quantile(quantile)).unwrap_or(u32::MAX);
    let millis = f64::from(micros) / 1e3;
    if millis < 10.0 { format!("{millis:.2}") } else { format!("{millis:.0}") }
}

/// The three latencies of the tables.
pub fn latencies(outcome: &Outcome) -> [String; 3] {
    [0.5, 0.99, 0.999].map(|quantile| latency(&outcome.latencies, quantile))
}

/// A number with about three digits, and with spaces between thousands.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value < 10.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// The same, but nothing for a server that the installation does not have.
pub fn number_if(exists: bool, value: f64) -> String {
    if exists { number(value) } else { "–".to_owned() }
}
