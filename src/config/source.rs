//! Where a value comes from, and the value as its source wrote it.

use std::fmt;
use std::path::PathBuf;

/// Where a setting's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody gave it.
    Default,
    /// A configuration file and the line in it, from 1.
    File(PathBuf, usize),
    /// An environment variable of this name.
    Variable(String),
    /// `--set` on the command line.
    Flag,
}

impl Source {
    /// Where a value stands, as the end of a sentence; nothing for a default.
    pub fn place(&self) -> String {
        match self {
            Self::Default => String::new(),
            Self::File(..) | Self::Variable(_) => format!(" in {self}"),
            Self::Flag => format!(" with {self}"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag => f.write_str("--set"),
        }
    }
}

/// A value before its kind is looked at. It may be a secret: `Debug` says its shape alone.
#[derive(Clone, PartialEq, Eq)]
pub enum Raw {
    /// Out of a variable, a flag or a value's own file: text that may mean anything.
    Plain(String),
    /// A string in a file.
    Text(String),
    /// An integer in a file, in decimal digits, perhaps with a sign.
    Integer(String),
    /// A number with a point in a file, as written.
    Fraction(String),
    /// A switch in a file.
    Bool(bool),
    /// A list in a file.
    List(Vec<Raw>),
    /// Something that no setting is, by its name: "a table".
    Other(&'static str),
}

impl Raw {
    /// The shape, for an error's text.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain(_) | Self::Text(_) => "a text",
            Self::Integer(_) => "an integer",
            Self::Fraction(_) => "a fraction",
            Self::Bool(_) => "a switch",
            Self::List(_) => "a list",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One key and its value, as a source gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The key as written, parts joined by dots; `…_file` included.
    pub key: String,
    pub raw: Raw,
    /// Where it stands.
    pub source: Source,
}
