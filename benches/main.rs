//! Benchmarks of latchkey's parts. Each part is compared with a lower bound: the least that the
//! same work can cost on this machine. Both are measured in the same run.
//!
//! `cargo bench` prints tables. `cargo bench -- --quick` takes about 20 seconds and is less
//! precise. Names select groups: `cargo bench -- token http`.
//!
//! Nothing is asserted, because speed depends on the machine. Every figure is the median of several
//! rounds, in which the lower bound and latchkey's part alternate.

mod enumeration;
mod http;
mod json;
mod measure;
mod password;
mod pool;
mod route;
mod token;

use measure::Effort;

/// A group's name, and the function that measures it.
type Group = (&'static str, fn(Effort));

const GROUPS: [Group; 7] = [
    ("token", token::run),
    ("pool", pool::run),
    ("route", route::run),
    ("password", password::run),
    ("json", json::run),
    ("http", http::run),
    ("enumeration", enumeration::run),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let effort = if is_quick { Effort::QUICK } else { Effort::FULL };
    // cargo adds `--bench`. Any other word that begins with a dash is for other harnesses.
    let wanted: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("latchkey {} on {cores} cores, {effort}", env!("CARGO_PKG_VERSION"));
    for (name, run) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|word| *word == name) {
            run(effort);
        }
    }
}
