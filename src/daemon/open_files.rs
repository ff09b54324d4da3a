//! The limit of open files. Each connection needs one.
//!
//! A process starts with a low soft limit, often 1024, because old programs use `select`, which
//! cannot handle more. The daemon does not use `select`, so it raises the soft limit to the hard
//! one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// The number of connections that the admin listener accepts at the same time.
pub(super) const ADMIN_CONNECTIONS_MAX: usize = 64;
/// The number of files that are open besides connections of clients and to PostgreSQL: both
/// listeners, the runtime, connections to Redis, SMTP and other services, and files.
const OTHERS: u64 = 64;

/// Raises the soft limit of open files to the hard one. The limit stays as it is if the kernel
/// refuses.
pub(super) fn raise() {
    let Rlimit { maximum, current } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { maximum, current: maximum });
    }
}

/// Says which number of open files the daemon may need and how many it may have, if that is fewer.
/// The hard limit counts, because the daemon raises the soft limit to it.
pub fn shortage(config: &Config) -> Option<(u64, u64)> {
    let connections = (config.http.max_connections + ADMIN_CONNECTIONS_MAX) as u64;
    let needed = connections + u64::from(config.database.max_connections) + OTHERS;
    let limit = getrlimit(Resource::Nofile).maximum?;
    (limit < needed).then_some((needed, limit))
}

/// What the operator can do about a shortage.
pub const FIX: &str = "raise the hard limit (LimitNOFILE of the systemd unit, ulimit -Hn, or the \
     container's), or lower `http.max_connections`";

/// Warns if the daemon cannot open as many files as its settings allow connections.
pub(super) fn warn(config: &Config) {
    if let Some((needed, limit)) = shortage(config) {
        tracing::warn!(
            needed,
            limit,
            fix = FIX,
            "all connections that the settings allow need more open files than this process may have"
        );
    }
}
