//! Files that hold secrets: those that a `…_file` names, and configuration files with a secret among their values; and
//! whether everybody on the machine can read them.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::kind::Kind;
use super::problems::Problem;
use super::source::{Given, Raw, Source};
use super::url::Url;

/// What everybody may do with a file: others read it.
const OTHERS_READ: u32 = 0o004;
/// Others read or write it.
const OTHERS_READ_OR_WRITE: u32 = 0o006;

/// The files that hold secrets.
#[derive(Debug, Default)]
pub struct SecretFiles {
    /// With the settings whose secrets they hold among others; none where the file is a secret and nothing else.
    files: BTreeMap<PathBuf, Vec<&'static str>>,
    /// Those that everybody on the machine can read: an error in production.
    pub exposed: Vec<Problem>,
}

impl SecretFiles {
    /// A file that is the value of a secret; `key` names it.
    pub fn named(&mut self, key: &str, path: &Path) -> io::Result<()> {
        if path.metadata()?.permissions().mode() & OTHERS_READ != 0 {
            let name = path.display();
            self.exposed.push(Problem::new(
                key,
                format!("everybody on this machine can read `{name}`"),
                format!("chmod o-r {name}"),
            ));
        }
        self.files.entry(path.to_owned()).or_default();
        Ok(())
    }

    /// A value that a configuration file holds itself, whether or not another one wins over it.
    pub fn inline(&mut self, key: &'static str, kind: Kind, given: &Given) {
        if let Source::File(path, _) = &given.source
            && is_secret(kind, &given.raw)
        {
            self.files.entry(path.clone()).or_default().push(key);
        }
    }

    /// Looks at the configuration files among them.
    pub fn judge_inline(&mut self) {
        for (path, keys) in self.files.iter().filter(|(_, keys)| !keys.is_empty()) {
            let Ok(metadata) = path.metadata() else { continue };
            if metadata.permissions().mode() & OTHERS_READ_OR_WRITE == 0 {
                continue;
            }
            let name = path.display();
            let named: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            self.exposed.push(Problem::new(
                name.to_string(),
                format!(
                    "everybody on this machine can read or change it, and it holds {}",
                    named.join(", ")
                ),
                format!("chmod o-rw {name}, or give `{}_file`", keys[0]),
            ));
        }
    }

    /// All of them.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.keys().cloned().collect()
    }
}

/// Whether the value itself is one that nobody else may know. A URL is, where it has a password in it.
fn is_secret(kind: Kind, raw: &Raw) -> bool {
    match (kind, raw) {
        (Kind::SecretUrl(_), Raw::Text(text)) => has_password(text),
        (Kind::List(_), Raw::List(items)) => kind.is_secret() && !items.is_empty(),
        _ => kind.is_secret(),
    }
}

fn has_password(text: &str) -> bool {
    let Some(url) = Url::parse(text) else { return false };
    let in_front = url.userinfo.is_some_and(|it| it.contains(':'));
    // An unescaped slash in a password moves its end there.
    let in_path = url.path.contains('@');
    let names = ["password=", "sslpassword="];
    let behind = url
        .query
        .is_some_and(|it| it.split('&').any(|it| names.iter().any(|name| it.starts_with(name))));
    in_front || in_path || behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_secret_where_a_password_is_in_it() {
        for with in [
            "postgres://ada:hunter2@db/x",
            "redis://:hunter2@db",
            "smtp://a:b/c@mail",
            "postgres://db/x?sslmode=require&password=hunter2",
        ] {
            assert!(has_password(with), "{with}");
        }
        for without in ["sqlite://a.db", "postgres://ada@db/x?sslmode=require", "smtp://mail:25"] {
            assert!(!has_password(without), "{without}");
        }
    }
}
