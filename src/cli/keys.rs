//! `latchkey keys …`: manages the signing keys in the database, also while daemons run.
//!
//! A command changes only the table of keys. Daemons read this table every 30 s. They then apply
//! the change, and continue the rotation that a command has begun.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::ending::broken_off;
use super::open;
use super::output::{Talk, print, print_json, say_line};
use crate::clock::{UnixMillis, rfc3339};
use crate::config::Config;
use crate::exit::{CHECK_SAYS_NO, FAILED};
use crate::token::rotation::{Listed, Retired, Rotated, Sealed};
use crate::token::{KeyDependencies, KeysError, Kind};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List every signing key with its state
    List,
    /// Publish a new key. After 10 minutes, when all verifiers have the new key, it begins to sign
    /// and the old key retires
    Rotate {
        /// Rotate the signing keys of this kind of tokens
        #[arg(long, value_enum, default_value_t = Which::All)]
        kind: Which,
        /// Sign with the new key at once. Verifiers that cache the JWKS refuse the new tokens for
        /// up to 5 minutes
        #[arg(long)]
        now: bool,
    },
    /// Declare a key compromised. Within 30 seconds every daemon refuses all tokens that this key
    /// signed
    ///
    /// If the key signed userTokens, every user with such a token has to log in again. If the key
    /// signed vaultTokens, clients have to refresh their tokens, and verifiers that cache the JWKS
    /// accept the key's tokens for up to 5 minutes more. If the key belongs to the token store
    /// (kind `store`), every user has to log in again, and all links in mails are invalid. If the
    /// key is still in use, a new key replaces it at once.
    ///
    /// The key of second factors (kind `factor`) cannot be retired, because without this key no
    /// code of an authenticator app would be accepted. For this key, the command changes nothing
    /// and the exit code is 1.
    Retire {
        /// The key's `kid`
        // One `kid` in 64 begins with `-`, because it is base64url.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Print what the command would do, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the public keys that verify vaultTokens, as a JWK set
    ExportJwks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Keys that sign userTokens.
    User,
    /// Keys that sign vaultTokens.
    Vault,
    /// Both kinds of keys.
    All,
}

impl Which {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::User => &[Kind::User],
            Self::Vault => &[Kind::Vault],
            Self::All => &Kind::TOKENS,
        }
    }
}

pub async fn run(command: &Command, config: &Config, json: bool, talk: Talk) -> ExitCode {
    let keys = match open::keys(config).await {
        Ok(keys) => keys,
        Err(fault) => return fault.report(talk),
    };
    let done = match command {
        Command::List => list(&keys, json, talk).await,
        Command::Rotate { kind, now } => rotate(&keys, *kind, *now, json, talk).await,
        Command::Retire { kid, dry_run: false } => retire(&keys, kid, json, talk).await,
        Command::Retire { kid, dry_run: true } => plan(&keys, kid, json, talk).await,
        Command::ExportJwks => keys.jwks().await.map(|set| print_json(talk, &set)),
    };
    done.unwrap_or_else(|error| broken_off(talk, &error))
}

async fn list(keys: &KeyDependencies, json: bool, talk: Talk) -> Result<ExitCode, KeysError> {
    let keys = keys.list().await?;
    if json {
        return Ok(print_json(talk, &keys.iter().map(as_json).collect()));
    }
    for key in &keys {
        match key.sealed {
            Sealed::Now => {}
            Sealed::Before => say_line(&format!(
                "{} is encrypted with secrets.master_key_previous: keep that setting until a \
                 daemon has encrypted the key with the new master key",
                key.id
            )),
            Sealed::Elsewhere => {
                say_line(&format!(
                    "{} is encrypted with a master key that is not set here",
                    key.id
                ));
            }
        }
    }
    Ok(print(talk, &table(&keys)))
}

fn as_json(key: &Listed) -> Value {
    json!({
        "kid": key.id,
        "kind": key.kind,
        "algorithm": key.algorithm,
        "state": key.state.name(),
        "createdAt": rfc3339(key.created_at),
        "signsFrom": rfc3339(key.signs_from),
        "retiredAt": key.retired_at.map(rfc3339),
        "verifiesUntil": key.verifies_until.map(rfc3339),
        "opens": key.opens(),
        "sealedWith": sealed(key),
    })
}

/// The master key that a signing key is encrypted with, in one word.
const fn sealed(key: &Listed) -> &'static str {
    match key.sealed {
        Sealed::Now => "current",
        Sealed::Before => "previous",
        Sealed::Elsewhere => "unknown",
    }
}

fn table(keys: &[Listed]) -> String {
    let time = |at: Option<UnixMillis>| at.map_or_else(|| "-".to_owned(), rfc3339);
    let row = |out: &mut String, cells: [&str; 7]| {
        let [id, kind, algorithm, state, from, until, sealed] = cells;
        let _ = writeln!(
            out,
            "{id:22}  {kind:6}  {algorithm:5}  {state:7}  {from:24}  {until:24}  {sealed}"
        );
    };
    let mut out = String::new();
    row(
        &mut out,
        ["KID", "KIND", "ALG", "STATE", "SIGNS FROM", "VERIFIES UNTIL", "ENCRYPTED WITH"],
    );
    for key in keys {
        let (from, until) = (rfc3339(key.signs_from), time(key.verifies_until));
        let sealed = sealed(key);
        row(
            &mut out,
            [&key.id, &key.kind, &key.algorithm, key.state.name(), &from, &until, sealed],
        );
    }
    out
}

async fn rotate(
    keys: &KeyDependencies,
    which: Which,
    now: bool,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, KeysError> {
    let mut told = Vec::new();
    for kind in which.kinds() {
        let rotated = if now { keys.rotate_now(*kind).await? } else { keys.rotate(*kind).await? };
        let (outcome, signs_from) = match rotated {
            Rotated::Published(from) => ("published", Some(from)),
            Rotated::Waiting(from) => ("waiting", Some(from)),
            Rotated::Signs => ("signs", None),
            Rotated::Shared => ("shared", None),
        };
        let name = kind.name();
        told.push(json!({
            "kind": name,
            "outcome": outcome,
            "signsFrom": signs_from.map(rfc3339),
        }));
        let from = signs_from.map(rfc3339).unwrap_or_default();
        say_line(&match rotated {
            Rotated::Published(_) => {
                format!("{name}: a new key is published, and signs from {from} on")
            }
            Rotated::Waiting(_) => {
                format!("{name}: a new key is already published, and signs from {from} on")
            }
            Rotated::Signs => format!(
                "{name}: a new key signs; all daemons use it within 30 s{}",
                if *kind == Kind::Vault {
                    ", and verifiers that cache the JWKS may refuse its tokens for up to 5 min"
                } else {
                    ""
                }
            ),
            Rotated::Shared => {
                format!(
                    "{name}: the tokens are signed with tokens.secret, so change that setting on \
                     every daemon"
                )
            }
        });
    }
    if json {
        return Ok(print_json(talk, &Value::Array(told)));
    }
    list(keys, false, talk).await
}

/// The result for a key, as one word for programs. `None` if there is no such key, or if the key is
/// kept.
fn outcome(retired: Retired) -> Option<&'static str> {
    match retired {
        Retired::Unknown | Retired::Kept => None,
        Retired::Revoked => Some("revoked"),
        Retired::Replaced => Some("replaced"),
    }
}

/// Reports why nothing was changed.
fn unchanged(retired: Retired, talk: Talk) -> ExitCode {
    if retired == Retired::Kept {
        talk.fail(
            "this key encrypts the secrets of all authenticator apps, and no code would be accepted \
             without it, so it cannot be retired: run `latchkey users reset-factors` for each user \
             whose secret is known to others",
        );
        return ExitCode::from(FAILED);
    }
    talk.fail("there is no key with this kid: run `latchkey keys list` to see all keys");
    ExitCode::from(CHECK_SAYS_NO)
}

/// The report about a key of the token store that another key has replaced before.
const OLD_STORE_KEY: &str = "another key authenticates the token store already: nothing changes";

/// Whether the key authenticates the records of the token store.
async fn is_of_store(keys: &KeyDependencies, kid: &str) -> Result<bool, KeysError> {
    let is_it = |key: &Listed| key.id == kid && key.kind == Kind::Store.name();
    Ok(keys.list().await?.iter().any(is_it))
}

async fn retire(
    keys: &KeyDependencies,
    kid: &str,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, KeysError> {
    let is_of_store = is_of_store(keys, kid).await?;
    let retired = keys.retire(kid).await?;
    let Some(outcome) = outcome(retired) else { return Ok(unchanged(retired, talk)) };
    say_line(match retired {
        Retired::Replaced if is_of_store => {
            "every user is logged out and has to log in again, and every link that was mailed \
             until now is invalid: the daemons follow within 30 s; a new key authenticates the \
             token store"
        }
        Retired::Revoked if is_of_store => OLD_STORE_KEY,
        Retired::Replaced => {
            "within 30 s every daemon refuses what this key signed, so users perhaps have to log \
             in again; a new key signs"
        }
        _ => "every daemon refuses the tokens of this key within 30 s",
    });
    if json {
        return Ok(print_json(talk, &json!({ "kid": kid, "outcome": outcome })));
    }
    list(keys, false, talk).await
}

/// Reports what [`retire`] would do.
async fn plan(
    keys: &KeyDependencies,
    kid: &str,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, KeysError> {
    let is_of_store = is_of_store(keys, kid).await?;
    let retired = keys.would_retire(kid).await?;
    let Some(outcome) = outcome(retired) else { return Ok(unchanged(retired, talk)) };
    say_line(match retired {
        Retired::Replaced if is_of_store => {
            "the key authenticates the token store: every user would be logged out, and every link \
             that was mailed until now would be invalid; the daemons would follow within 30 s, and \
             a new key would replace it"
        }
        Retired::Revoked if is_of_store => OLD_STORE_KEY,
        Retired::Replaced => "the key signs: its tokens would be refused, and a new key would sign",
        _ => "the key does not sign: its tokens would be refused, and nothing else would change",
    });
    if json {
        return Ok(print_json(talk, &json!({ "kid": kid, "outcome": outcome })));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_a_key_and_no_cell_is_empty() {
        let key = Listed {
            id: "0123456789012345678901".to_owned(),
            kind: "vault".to_owned(),
            algorithm: "ES256".to_owned(),
            state: crate::token::KeyState::Signing,
            created_at: 0,
            signs_from: 0,
            retired_at: None,
            verifies_until: None,
            sealed: Sealed::Before,
        };
        let table = table(&[key.clone(), key]);
        let rows: Vec<Vec<&str>> =
            table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        let expected = [
            "0123456789012345678901",
            "vault",
            "ES256",
            "signing",
            "1970-01-01T00:00:00.000Z",
            "-",
            "previous",
        ];
        assert_eq!(rows, [expected, expected]);
    }
}
