//! What latchkey's parts cost, each beside the least that its work can cost on this machine, measured in the same run.
//!
//! `cargo bench` prints tables; `cargo bench -- --quick` does so in some twenty seconds, for a look; a word more
//! (`cargo bench -- token http`) runs those groups alone. Nothing is asserted: a machine's speed is no property of the
//! code. Every figure is the median of several rounds, in which the limit and our part take turns.

mod enumeration;
mod http;
mod json;
mod measure;
mod password;
mod pool;
mod route;
mod token;

use measure::Effort;

/// A group's name and what measures it.
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
    // cargo adds --bench; whatever else begins with a dash is for other harnesses.
    let wanted: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("latchkey {} on {cores} cores, {effort}", env!("CARGO_PKG_VERSION"));
    for (name, run) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|word| *word == name) {
            run(effort);
        }
    }
}
