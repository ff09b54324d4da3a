//! The sources of settings, and values in the form in which a source gives them.

use std::fmt;
use std::path::PathBuf;

/// The source of a setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// No source gave the setting.
    Default,
    /// A configuration file and the line in it, from 1.
    File(PathBuf, usize),
    /// An environment variable with this name.
    Variable(String),
    /// `--set` on the command line.
    Flag,
}

impl Source {
    /// The source for the end of a sentence, such as " (in latchkey.toml:14)". Without the
    /// parentheses, the source would seem to belong to the last word of the sentence. The text is
    /// empty for a default.
    pub fn place(&self) -> String {
        match self {
            Self::Default => String::new(),
            Self::File(..) | Self::Variable(_) => format!(" (in {self})"),
            Self::Flag => format!(" (with {self})"),
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

/// A value before its kind is checked. It is perhaps a secret, so `Debug` shows only its shape.
#[derive(Clone, PartialEq, Eq)]
pub enum Raw {
    /// Text of an environment variable, a flag or the file of a `…_file` setting. Every kind can be
    /// written as text.
    Plain(String),
    /// A string in a configuration file.
    Text(String),
    /// An integer in a configuration file: decimal digits, with or without a sign.
    Integer(String),
    /// A number with a decimal point in a configuration file, as written.
    Fraction(String),
    /// A boolean in a configuration file.
    Bool(bool),
    /// A list in a configuration file.
    List(Vec<Raw>),
    /// A value of a type that no setting has, with the name of the type: "a table".
    Other(&'static str),
}

impl Raw {
    /// The name of the shape, for a message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain(_) | Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Fraction(_) => "a fraction",
            Self::Bool(_) => "a boolean",
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

/// One key and its value, as a source gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The key as written, with dots between its parts. It may end in `_file`.
    pub key: String,
    pub raw: Raw,
    pub source: Source,
}
