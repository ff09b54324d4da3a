//! The check that finds the rights which a Redis ACL does not give to latchkey. `doctor` uses it.
//! The error of a script does not name the command that the ACL refused, so each command is tried.

use redis::{Cmd, ErrorKind, ServerErrorKind};

use super::Redis;
use crate::store::keys::{self, PROBE_TAGS};

/// The entry in the result if the ACL does not allow the keys of latchkey.
const KEYS: &str = "keys ~lk:*";

/// Every command that latchkey sends directly or in a script, with arguments. `H`, `Z` and `S` are
/// placeholders for the keys of the probe.
const COMMANDS: &[&str] = &[
    "PING",
    "TIME",
    "SCRIPT LOAD return",
    "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
    "EVAL return 0",
    "HSET H value 1",
    "HMGET H value",
    "HGETALL H",
    "HLEN H",
    "HDEL H value",
    "PEXPIRE H 60000",
    "PTTL H",
    "ZADD Z 1 value",
    "ZSCORE Z value",
    "ZCARD Z",
    "ZRANGE Z 0 -1",
    "ZREM Z value",
    "SET S value PX 60000",
    "GET S",
    "DEL S",
];

impl Redis {
    /// Tries each command, and returns the commands and keys that the ACL user is not allowed to
    /// use.
    pub(in crate::store) async fn missing_rights(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        for line in COMMANDS.iter().copied() {
            let Err(error) = self.link.inspect::<redis::Value>(&command(line)).await else {
                continue;
            };
            if error.kind() != ErrorKind::Server(ServerErrorKind::NoPerm) {
                continue;
            }
            let is_of_keys = error.detail().is_some_and(|said| said.contains("access"));
            let what = if is_of_keys { KEYS } else { name(line) };
            if !missing.contains(&what) {
                missing.push(what);
            }
        }
        missing
    }
}

fn name(line: &'static str) -> &'static str {
    line.split(' ').next().unwrap_or(line)
}

fn command(line: &str) -> Cmd {
    let [hash, set, string] = keys::probe(PROBE_TAGS[0]);
    let mut command = Cmd::new();
    for word in line.split(' ') {
        match word {
            "H" => command.arg(&hash),
            "Z" => command.arg(&set),
            "S" => command.arg(&string),
            _ => command.arg(word),
        };
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_scripts_is_tried() {
        let probe = include_str!("probe.lua");
        let called = probe.split("redis.call('").skip(1).filter_map(|it| it.split('\'').next());
        for word in called {
            assert!(COMMANDS.iter().any(|line| name(line) == word), "{word}");
        }
    }
}
