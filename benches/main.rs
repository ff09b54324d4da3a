//! Benchmarks of parts of latchkey. Each part is compared with a lower bound: the minimum time in
//! which this machine can do the same work. The part and its lower bound are measured in the same
//! run.
//!
//! `cargo bench` runs all groups of benchmarks and prints tables. `cargo bench -- --quick` takes
//! about 20 seconds and is less precise. To run only some groups, give their names: `cargo bench --
//! token http`.
//!
//! No benchmark fails because of a slow result, because the speed depends on the machine. Every
//! figure is the median of several rounds. The rounds of the part and of its lower bound alternate.

mod enumeration;
mod http;
mod json;
mod measure;
mod password;
mod pool;
mod route;
mod token;

use measure::Effort;

/// The name of a group of benchmarks, and the function that runs the group.
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
    // Words that begin with a dash are not names of groups. cargo adds `--bench`, and other such
    // words are options for other benchmark harnesses.
    let wanted: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("latchkey {} on {cores} cores, {effort}", env!("CARGO_PKG_VERSION"));
    for (name, run) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|word| *word == name) {
            run(effort);
        }
    }
}
