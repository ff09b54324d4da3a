//! The problems of a configuration. They are reported all at once, in columns.

use std::fmt;

use serde::Serialize;

use crate::secret::redact;

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The setting, environment variable or file that has the problem.
    pub key: String,
    /// What is wrong and where, such as "is an unknown key (in latchkey.toml:14)". The text never
    /// contains the value of a secret.
    pub what: String,
    /// What the operator can do.
    pub fix: String,
}

impl Problem {
    /// Creates a problem. Secrets in URLs are redacted in all three parts.
    pub fn new(key: impl AsRef<str>, what: impl AsRef<str>, fix: impl AsRef<str>) -> Self {
        let [key, what, fix] = [key.as_ref(), what.as_ref(), fix.as_ref()].map(redact);
        Self { key, what, fix }
    }
}

/// At least one problem. It is displayed as a headline and one aligned line for each problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0.len() == 1 { "problem" } else { "problems" };
        writeln!(f, "error: {} {noun} in the configuration", self.0.len())?;
        f.write_str(&table(&self.0))
    }
}

impl std::error::Error for Problems {}

/// A table of problems or warnings: one line for each, with three columns, indented by two spaces.
pub fn table(problems: &[Problem]) -> String {
    let width = |column: fn(&Problem) -> &str| {
        problems.iter().map(|problem| column(problem).chars().count()).max().unwrap_or(0)
    };
    let (keys, whats) = (width(|problem| &problem.key), width(|problem| &problem.what));
    let line = |problem: &Problem| {
        format!("  {:keys$}  {:whats$}  {}\n", problem.key, problem.what, problem.fix)
    };
    problems.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_stand_in_columns() {
        let problems = Problems(vec![
            Problem::new(
                "tokens.acces_ttl",
                "is an unknown key (in latchkey.toml:14)",
                "did you mean `tokens.vault_ttl`?",
            ),
            Problem::new(
                "database.url",
                "is set twice in the environment: as a value and as a file",
                "remove one of them",
            ),
        ]);
        assert_eq!(
            problems.to_string(),
            "error: 2 problems in the configuration\n\
            \x20 tokens.acces_ttl  is an unknown key (in latchkey.toml:14)                    did you mean `tokens.vault_ttl`?\n\
            \x20 database.url      is set twice in the environment: as a value and as a file  remove one of them\n"
        );
    }
}
