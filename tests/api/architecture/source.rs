//! Reads the source files for the architecture tests.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file. Its path is relative to the repository.
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    /// Returns the text after the first `#[cfg(test)]`. By convention the unit tests are at the end
    /// of the file.
    pub fn tests(&self) -> &str {
        self.text.find("\n#[cfg(test)]\n").map_or("", |at| &self.text[at + 1..])
    }
}

/// Returns a line without its comment. A `//` in a URL does not start a comment.
pub fn code(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every `.rs` file under these directories, sorted by path.
pub fn sources(directories: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    let mut left: Vec<PathBuf> = directories.iter().map(|name| root().join(name)).collect();
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).expect("the directory is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source is UTF-8");
                let path = path.strip_prefix(root()).expect("below the root").display().to_string();
                files.push(Source { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!files.is_empty(), "there are sources under {directories:?}");
    files
}
