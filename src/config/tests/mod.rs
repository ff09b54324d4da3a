//! Tests of loading: the sources and their order, the rules between settings, and the reference.

mod connections;
mod passkeys;
mod reference;
mod rules;
mod sources;
mod telemetry;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ConfigFile, Inputs, Loaded, Machine, Problem, Problems, load, load_for_migrations};

/// 32 bytes that look random.
pub const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
/// A secret of 44 characters that looks random.
pub const SECRET: &str = "kJ8s0bQ2mZr7Tt4cXv9LwYp1Ne6Ua3Gh5Df8Rk0Bo2M=";

/// The inputs of a test.
#[derive(Clone, Default)]
pub struct Given {
    files: Vec<ConfigFile>,
    environment: BTreeMap<String, String>,
    flags: Vec<String>,
    log_on_terminal: bool,
}

impl Given {
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push(ConfigFile { path: PathBuf::from(name), text: Ok(text.to_owned()) });
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn on_terminal(mut self) -> Self {
        self.log_on_terminal = true;
        self
    }

    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    pub fn load(&self) -> Result<Loaded, Problems> {
        load(&self.inputs())
    }

    pub fn load_for_migrations(&self) -> Result<Loaded, Problems> {
        load_for_migrations(&self.inputs())
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            files: self.files.clone(),
            environment: &self.environment,
            flags: &self.flags,
            machine: Machine { cores: 3, log_on_terminal: self.log_on_terminal },
        }
    }

    pub fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    pub fn problems(&self) -> Vec<Problem> {
        self.load().expect_err("a configuration that is refused").0
    }
}

pub fn toml(text: &str) -> Given {
    Given::default().file("latchkey.toml", text)
}

pub fn variable(name: &str, value: &str) -> Given {
    Given::default().variable(name, value)
}

/// The keys of problems, in their order.
pub fn keys(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.key.as_str()).collect()
}
