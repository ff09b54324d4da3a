//! The facts that a Redis server reports about itself. `doctor` shows them.

use redis::{ErrorKind, ServerErrorKind, Value};

use super::Redis;
use super::connection::collect_words;
use crate::clock::UnixMillis;
use crate::problem::Unavailable;
use crate::store::lost;

/// The facts about one server, or about those nodes of a cluster that responded. If a managed
/// server does not report a fact, the field is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisFacts {
    /// The version of the server. In a cluster, the oldest version of all nodes.
    pub version: Option<String>,
    /// Whether every node writes its append-only file.
    pub append_only: Option<bool>,
    /// `used_memory` and `maxmemory` in bytes. In a cluster, these are the values of the node that
    /// uses the largest part of its memory. If `maxmemory` is 0, the memory has no limit.
    pub memory: Option<(u64, u64)>,
    pub clock: Option<UnixMillis>,
    /// Whether the server, or one of the nodes, is a replica.
    pub is_replica: Option<bool>,
    /// Whether the server is a node of a cluster (`cluster_enabled`).
    pub is_node: Option<bool>,
    /// Whether the server's last snapshot, or its last write to the append-only file, failed.
    pub fails_to_save: Option<bool>,
}

impl Redis {
    /// Sends `INFO` and `TIME`.
    pub(in crate::store) async fn facts(&self) -> Result<RedisFacts, Unavailable> {
        let mut facts = match self.link.inspect::<Value>(&redis::cmd("INFO")).await {
            Ok(answer) => {
                let mut words = Vec::new();
                collect_words(&answer, &mut words);
                read(&words.join("\n"))
            }
            // Managed servers forbid INFO with an ACL or rename it.
            Err(error) if is_forbidden(&error) => RedisFacts::default(),
            Err(error) => return Err(lost(error)),
        };
        match self.link.inspect::<(i64, i64)>(&redis::cmd("TIME")).await {
            Ok((seconds, micros)) => facts.clock = Some(seconds * 1_000 + micros / 1_000),
            Err(error) if is_forbidden(&error) => {}
            Err(error) => return Err(lost(error)),
        }
        Ok(facts)
    }
}

fn is_forbidden(error: &redis::RedisError) -> bool {
    let kind = error.kind();
    matches!(kind, ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError))
}

/// Parses the response to `INFO`. In a cluster, `info` contains the responses of all nodes, one
/// after the other.
fn read(info: &str) -> RedisFacts {
    let all = |name: &str| -> Vec<&str> {
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim()).collect()
    };
    let numbers = |name| all(name).into_iter().filter_map(|it| it.parse::<u64>().ok());
    let parts = |version: &&str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    let append = all("aof_enabled");
    let is = |name, word: &str| {
        let values = all(name);
        (!values.is_empty()).then(|| values.contains(&word))
    };
    let failed = ["rdb_last_bgsave_status", "aof_last_write_status"].map(|name| is(name, "err"));
    RedisFacts {
        is_replica: is("role", "slave"),
        is_node: is("cluster_enabled", "1"),
        fails_to_save: failed.into_iter().flatten().reduce(|one, other| one || other),
        version: all("redis_version").into_iter().min_by_key(parts).map(str::to_owned),
        append_only: (!append.is_empty()).then(|| append.iter().all(|it| *it == "1")),
        memory: numbers("used_memory")
            .zip(numbers("maxmemory"))
            .max_by_key(|(used, max)| used.saturating_mul(1_000) / (*max).max(1)),
        clock: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_and_fullest_node_and_the_one_without_a_log_count() {
        let facts = read(
            "# Server\r\nredis_version:7.10.1\r\nused_memory:10\r\nmaxmemory:100\r\naof_enabled:1\r\n\
             \nredis_version:7.9.2\r\nused_memory:90\r\nmaxmemory:100\r\naof_enabled:0\r\n\
             role:master\r\ncluster_enabled:1\r\nrdb_last_bgsave_status:err\r\naof_last_write_status:ok\r\n",
        );
        assert_eq!((facts.is_replica, facts.is_node), (Some(false), Some(true)));
        assert_eq!(facts.fails_to_save, Some(true));
        assert_eq!(facts.version.as_deref(), Some("7.9.2"));
        assert_eq!(facts.append_only, Some(false));
        assert_eq!(facts.memory, Some((90, 100)));
        assert_eq!(read(""), RedisFacts::default());
    }
}
