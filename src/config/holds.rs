//! Files that hold secrets, and whether every user of the machine can read these files. Such a file
//! is named by a `…_file` setting, or it is a configuration file with a secret among its values.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::kind::Kind;
use super::problems::Problem;
use super::source::{Given, Raw, Source};
use super::url::Url;

/// The permission of other users to read a file.
const OTHERS_READ: u32 = 0o004;
/// The permissions of other users to read or write a file.
const OTHERS_READ_OR_WRITE: u32 = 0o006;

#[derive(Debug, Default)]
pub struct SecretFiles {
    /// Each file, with the settings whose secrets it contains. The list is empty if the whole
    /// content of the file is one secret.
    files: BTreeMap<PathBuf, Vec<&'static str>>,
    /// The files that every user of the machine can read. With the profile `production`, each of
    /// these files is an error.
    pub exposed: Vec<Problem>,
}

impl SecretFiles {
    /// Adds a file that contains the value of a secret. `key` is the setting that names the file.
    pub fn named(&mut self, key: &str, path: &Path) -> io::Result<()> {
        if path.metadata()?.permissions().mode() & OTHERS_READ != 0 {
            let name = path.display();
            self.exposed.push(Problem::new(
                key,
                format!("names `{name}`, which every user of this machine can read"),
                format!("run chmod o-r {name}"),
            ));
        }
        self.files.entry(path.to_owned()).or_default();
        Ok(())
    }

    /// Adds a configuration file that contains a secret, even if another source overrides this
    /// secret.
    pub fn inline(&mut self, key: &'static str, kind: Kind, given: &Given) {
        if let Source::File(path, _) = &given.source
            && is_secret(kind, &given.raw)
        {
            self.files.entry(path.clone()).or_default().push(key);
        }
    }

    /// Checks the permissions of the configuration files that contain secrets.
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
                    "contains {}, and every user of this machine can read or change it",
                    named.join(", ")
                ),
                format!("run chmod o-rw {name}, or set `{}_file` instead", keys[0]),
            ));
        }
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.keys().cloned().collect()
    }
}

/// Whether the value itself must stay secret. A URL in a configuration file must stay secret if it
/// contains a password.
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
    // If a password contains an unescaped slash, the rest of the password is read as part of the
    // path.
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
