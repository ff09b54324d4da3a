//! Functions that find out from a Redis error whether the server is down, and whether a new
//! connection could help.

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use crate::authorities::is_untrusted;
use crate::health::Reason;

/// The error codes of a server that refuses writes.
const CODES: &[(&str, Reason)] = &[
    ("READONLY", Reason::ReadOnly),
    ("MASTERDOWN", Reason::ReadOnly),
    ("OOM", Reason::OutOfMemory),
    ("MISCONF", Reason::PersistenceFailing),
    ("NOREPLICAS", Reason::ReplicasMissing),
    ("NOPERM", Reason::NoPermission),
    ("NOAUTH", Reason::Authentication),
    ("WRONGPASS", Reason::Authentication),
    ("LOADING", Reason::Starting),
    ("CLUSTERDOWN", Reason::ClusterDown),
    ("TRYAGAIN", Reason::ClusterDown),
    ("MOVED", Reason::ClusterNode),
    ("ASK", Reason::ClusterNode),
];

/// The text of the error if the ACL forbids a command in a script. In Redis 6.2 this error has no
/// code.
const FORBIDDEN_IN_SCRIPT: &str = "can't run this command or subcommand";

/// Why the store is down. `None` if the error says nothing about the state of the server.
pub(super) fn outage(error: &RedisError) -> Option<Reason> {
    match error.kind() {
        _ if error.is_timeout() => Some(Reason::Timeout),
        _ if is_untrusted(error) => Some(Reason::Certificate),
        ErrorKind::Io => Some(Reason::Unreachable),
        ErrorKind::AuthenticationFailed => Some(Reason::Authentication),
        ErrorKind::ClusterConnectionNotFound => Some(Reason::ClusterDown),
        _ => of_code(error.code()?, error.detail().unwrap_or_default()),
    }
}

/// Finds the reason from the code of the error, which is its first word, or from a code inside its
/// text. The second case is needed because Redis 6.2 wraps an error in a script in an error with
/// the code `ERR`.
fn of_code(code: &str, detail: &str) -> Option<Reason> {
    if let Some((_, reason)) = CODES.iter().find(|(known, _)| *known == code) {
        return Some(*reason);
    }
    if code != "ERR" {
        return None;
    }
    if detail.contains("max number of clients") {
        return Some(Reason::TooManyConnections);
    }
    if detail.contains("SELECT is not allowed in cluster mode") {
        return Some(Reason::ClusterNode);
    }
    if detail.contains(FORBIDDEN_IN_SCRIPT) {
        return Some(Reason::NoPermission);
    }
    let is_of_script = detail.contains("script");
    let mut words = detail.split_ascii_whitespace().map(|word| word.trim_start_matches('-'));
    let inner = words.find_map(|word| CODES.iter().find(|(known, _)| *known == word));
    inner.filter(|_| is_of_script).map(|(_, reason)| *reason)
}

/// Whether a new connection could help, because the host name perhaps leads to another server now.
/// This is so if the connected server is a replica, is starting, or no longer knows the credentials
/// of latchkey. If the right server refuses (`OOM`, `MISCONF`, `NOPERM`), it refuses on every
/// connection.
pub(super) fn may_lead_elsewhere(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading) => true,
        _ => matches!(outage(error), Some(Reason::ReadOnly | Reason::Authentication)),
    }
}

/// Creates an error in the form in which a server sends it.
pub(super) fn server_error(code: &str, detail: &str) -> RedisError {
    let reply = format!("-{code} {}\r\n", detail.replace(['\r', '\n'], " "));
    let error = redis::parse_redis_value(reply.as_bytes()).map(Value::extract_error);
    match error {
        Ok(Err(error)) | Err(error) => error,
        Ok(Ok(_)) => (ErrorKind::Client, "refused", reply).into(),
    }
}

/// Returns the code and the text of an error in a script, without the script's digest and line
/// number.
pub(super) fn without_script<'a>(code: &'a str, detail: &'a str) -> (&'a str, &'a str) {
    // Redis 7: `OOM command not allowed … script: 1929…, on @user_script:8.`
    if let Some((words, at)) = detail.rsplit_once(" script: ")
        && at.contains("@user_script")
    {
        return (code, words);
    }
    // Redis 6.2: `ERR Error running script (call to f_0123): @user_script:9: @user_script: 9: -OOM
    // …`
    let Some((_, at)) = detail.rsplit_once("@user_script: ") else { return (code, detail) };
    let Some((_, words)) = at.split_once(": ") else { return (code, detail) };
    words.strip_prefix('-').and_then(|it| it.split_once(' ')).unwrap_or((code, words))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Parses an error in the same way as the Redis client parses it.
    fn error(line: &str) -> RedisError {
        let reply = format!("-{line}\r\n");
        let value = redis::parse_redis_value(reply.as_bytes()).expect("a reply");
        value.extract_error().expect_err("an error")
    }

    #[test]
    fn every_refusal_of_a_server_has_its_reason() {
        for (line, reason) in [
            ("READONLY You can't write against a read only replica.", Reason::ReadOnly),
            (
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                Reason::ReadOnly,
            ),
            ("OOM command not allowed when used memory > 'maxmemory'.", Reason::OutOfMemory),
            (
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
                Reason::PersistenceFailing,
            ),
            ("NOREPLICAS Not enough good replicas to write.", Reason::ReplicasMissing),
            (
                "NOPERM User lk has no permissions to run the 'evalsha' command",
                Reason::NoPermission,
            ),
            ("NOAUTH Authentication required.", Reason::Authentication),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                Reason::Authentication,
            ),
            ("LOADING Redis is loading the dataset in memory", Reason::Starting),
            ("CLUSTERDOWN Hash slot not served", Reason::ClusterDown),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Reason::ClusterDown),
            ("MOVED 3999 127.0.0.1:6381", Reason::ClusterNode),
            ("ERR max number of clients reached", Reason::TooManyConnections),
            ("ERR SELECT is not allowed in cluster mode", Reason::ClusterNode),
        ] {
            assert_eq!(outage(&error(line)), Some(reason), "{line}");
        }
        let time_out = RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!(outage(&time_out), Some(Reason::Timeout));
        let refused = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(outage(&refused), Some(Reason::Unreachable));
        let untrusted = rustls::Error::from(rustls::CertificateError::UnknownIssuer);
        let untrusted = RedisError::from(io::Error::other(untrusted));
        assert_eq!(outage(&untrusted), Some(Reason::Certificate));
    }

    #[test]
    fn what_a_script_met_is_found_inside_the_error_of_redis_6() {
        let script = "ERR Error running script (call to f_0123): @user_script:9: @user_script: 9:";
        for (said, reason) in [
            ("-READONLY You can't write against a read only replica.", Reason::ReadOnly),
            ("-OOM command not allowed when used memory > 'maxmemory'.", Reason::OutOfMemory),
            ("-MISCONF Redis is configured to save RDB snapshots", Reason::PersistenceFailing),
            (
                "The user executing the script can't run this command or subcommand",
                Reason::NoPermission,
            ),
        ] {
            assert_eq!(outage(&error(&format!("{script} {said}"))), Some(reason), "{said}");
        }
    }

    #[test]
    fn the_words_of_a_script_s_error_are_those_of_its_command() {
        let digest = "1929b8e6c9a8f0f0c4d8e9a7b6c5d4e3f2a1b0c9";
        let seven = format!("command not allowed. script: {digest}, on @user_script:8.");
        assert_eq!(without_script("OOM", &seven), ("OOM", "command not allowed."));
        let six = format!(
            "Error running script (call to f_{digest}): @user_script:9: @user_script: 9: -OOM command not allowed."
        );
        assert_eq!(without_script("ERR", &six), ("OOM", "command not allowed."));
        assert_eq!(without_script("ERR", "DB index: none"), ("ERR", "DB index: none"));
        let error = server_error("OOM", "command not allowed.");
        assert_eq!((error.code(), error.detail()), (Some("OOM"), Some("command not allowed.")));
    }

    #[test]
    fn an_error_of_one_call_alone_is_no_outage() {
        for line in [
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "NOSCRIPT No matching script. Please use EVAL.",
            "ERR unknown command 'INFO', with args beginning with:",
            "ERR the word READONLY in a sentence of another kind",
        ] {
            assert_eq!(outage(&error(line)), None, "{line}");
        }
    }

    #[test]
    fn another_connection_is_wanted_where_the_server_may_be_another() {
        let elsewhere = |line| may_lead_elsewhere(&error(line));
        for line in [
            "READONLY You can't write against a read only replica.",
            "MASTERDOWN Link with MASTER is down",
            "LOADING Redis is loading the dataset in memory",
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
        ] {
            assert!(elsewhere(line), "{line}");
        }
        for line in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "MISCONF Redis is configured to save RDB snapshots",
            "NOPERM User lk has no permissions to run the 'evalsha' command",
            "NOREPLICAS Not enough good replicas to write.",
            "CLUSTERDOWN Hash slot not served",
            "MOVED 3999 127.0.0.1:6381",
        ] {
            assert!(!elsewhere(line), "{line}");
        }
    }
}
