//! The calls that go on if another client of the server has written values that latchkey cannot
//! read. Such a value is removed and counted, and the call is repeated. So a call costs more only
//! if it has met such a value.

use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, ScriptInvocation};
use uuid::Uuid;

use super::Redis;
use super::connection::Call;
use super::refusal::outage;
use crate::store::keys;

/// The keys that a call uses, each with a command that reads keys of its type.
pub(super) struct Keys {
    names: Vec<(&'static str, String)>,
    /// The prefix of the user's session keys, if the call reads the list of sessions.
    prefix: String,
    /// Whether the content of the keys is not authenticated. A client that can write it can also
    /// delete it, so it is removed if it cannot be read.
    is_plain: bool,
}

impl Keys {
    /// A session or a mailed token, or the index entry of a token.
    pub(super) fn record(key: &str) -> Self {
        let names = vec![("GET", key.to_owned())];
        Self { names, prefix: String::new(), is_plain: false }
    }

    /// The list of a user's sessions with all its sessions, and the session `sid`.
    pub(super) fn sessions(user: Uuid, sid: Option<&str>) -> Self {
        let mut names = vec![("ZCARD", keys::sessions(user))];
        names.extend(sid.map(|sid| ("GET", keys::session(user, sid))));
        Self { names, prefix: keys::session_prefix(user), is_plain: false }
    }

    /// Keys without a MAC: budgets, login back-offs, used captchas and the keys of the probe.
    pub(super) fn plain(names: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self { names: names.into_iter().collect(), prefix: String::new(), is_plain: true }
    }
}

impl Redis {
    /// Runs a script.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
        keys: impl FnOnce() -> Keys,
    ) -> Result<T, RedisError> {
        self.run(Call::Script(call), keys).await
    }

    /// Runs a command.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        call: &Cmd,
        keys: impl FnOnce() -> Keys,
    ) -> Result<T, RedisError> {
        self.run(Call::Command(call), keys).await
    }

    async fn run<T: FromRedisValue>(
        &self,
        call: Call<'_>,
        keys: impl FnOnce() -> Keys,
    ) -> Result<T, RedisError> {
        let error = match self.link.run(call).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let removed = match Unreadable::of(&error) {
            Some(Unreadable::Type) => self.remove_wrong_types(&keys()).await?,
            Some(Unreadable::Content) => self.remove_plain(&keys()).await?,
            None => return Err(error),
        };
        self.mac.refuse_values(removed);
        // If nothing was removed, another daemon has perhaps just removed it.
        self.link.run(call).await
    }

    async fn remove_wrong_types(&self, keys: &Keys) -> Result<u64, RedisError> {
        let mut call = self.scripts.repair.prepare_invoke();
        for (reader, key) in &keys.names {
            call.key(key).arg(*reader);
        }
        self.link.invoke(call.arg(&keys.prefix)).await
    }

    async fn remove_plain(&self, keys: &Keys) -> Result<u64, RedisError> {
        if !keys.is_plain {
            return Ok(0);
        }
        let mut delete = redis::cmd("DEL");
        for (_, key) in &keys.names {
            delete.arg(key);
        }
        self.link.query(&delete).await
    }
}

/// Why a call cannot read a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unreadable {
    /// The key has another type.
    Type,
    /// The type is right, but a script or latchkey cannot parse the content.
    Content,
}

impl Unreadable {
    /// Finds the reason from the error of the call. `None` if the error has another reason.
    fn of(error: &RedisError) -> Option<Self> {
        if matches!(error.kind(), ErrorKind::Parse | ErrorKind::UnexpectedReturnType) {
            return Some(Self::Content);
        }
        let said = error.detail().unwrap_or_default();
        // Redis 6.2 wraps an error in a script in an error with the code `ERR`.
        if error.code() == Some("WRONGTYPE") || said.contains("WRONGTYPE") {
            return Some(Self::Type);
        }
        let is_of_lua = said.contains("user_script:")
            && (said.contains("attempt to ") || said.contains("bad argument"));
        (is_of_lua && outage(error).is_none()).then_some(Self::Content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::refusal::server_error;

    #[test]
    fn only_errors_about_a_value_remove_it() {
        let of = |code: &str, said: &str| Unreadable::of(&server_error(code, said));
        let wrong_type = "Operation against a key holding the wrong kind of value";
        assert_eq!(of("WRONGTYPE", wrong_type), Some(Unreadable::Type));
        let six = "Error running script (call to f_0123): @user_script:9:";
        let said = format!("{six} @user_script: 9: -WRONGTYPE {wrong_type}");
        assert_eq!(of("ERR", &said), Some(Unreadable::Type));
        let lua = "user_script:12: attempt to compare nil with number";
        assert_eq!(of("ERR", lua), Some(Unreadable::Content));
        let nested = format!("{six} {lua}");
        assert_eq!(of("ERR", &nested), Some(Unreadable::Content));
        let argument = "user_script:13: bad argument #1 to 'max' (number expected, got nil)";
        assert_eq!(of("ERR", argument), Some(Unreadable::Content));
        for (code, said) in [
            ("OOM", "command not allowed when used memory > 'maxmemory'."),
            ("ERR", "user_script:1: Script killed by user with SCRIPT KILL."),
            ("BUSY", "Redis is busy running a script."),
            ("NOSCRIPT", "No matching script. Please use EVAL."),
            ("READONLY", "You can't write against a read only replica."),
        ] {
            assert_eq!(of(code, said), None, "{code} {said}");
        }
    }
}
