//! The URL of a Redis server or of a cluster.

use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisResult};

use crate::config::is_loopback;

/// Whether [`Link::open`](super::connection::Link::open) can parse a URL. This function needs no
/// tokio runtime.
pub(super) fn is_url(url: &str) -> bool {
    addresses(url).is_ok()
}

/// Whether the connection to one of the servers perhaps leaves this machine without verified TLS.
///
/// The nodes of a cluster announce the addresses of all nodes, and the client connects to these. So
/// the hosts in the URL of a cluster do not say where the other nodes are.
pub(super) fn is_exposed(url: &str) -> bool {
    let is_cluster = cluster_nodes(url).is_some();
    let leaves = |address: &ConnectionAddr| match address {
        ConnectionAddr::Tcp(host, _) => is_cluster || !is_loopback(host),
        ConnectionAddr::TcpTls { host, insecure, .. } => {
            *insecure && (is_cluster || !is_loopback(host))
        }
        _ => false,
    };
    addresses(url).is_ok_and(|all| all.iter().any(leaves))
}

/// The addresses of the servers that the URL names, as the Redis client reads them.
fn addresses(url: &str) -> RedisResult<Vec<ConnectionAddr>> {
    let nodes = cluster_nodes(url).unwrap_or_else(|| vec![url.to_owned()]);
    let address = |node: String| Ok(node.into_connection_info()?.addr().clone());
    nodes.into_iter().map(address).collect()
}

/// Returns the URL of each node if `url` is the URL of a cluster,
/// `redis+cluster://user:password@host:port,host:port/…`. `None` if it is another URL.
pub(super) fn cluster_nodes(url: &str) -> Option<Vec<String>> {
    let (scheme, rest) = url.split_once("+cluster://")?;
    let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let (user, hosts) =
        authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
    Some(hosts.split(',').map(|host| format!("{scheme}://{user}{host}{path}")).collect())
}

/// Describes the URL parameters that have no effect. These are all parameters except `protocol`. In
/// the URL of a Unix socket `db`, `user` and `pass` have an effect as well. The result does not
/// contain the names of the parameters, because such a name is perhaps part of a password.
pub(super) fn ignored(url: &str) -> Vec<&'static str> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let is_socket = url.split_once("://").is_some_and(|(scheme, _)| scheme.ends_with("unix"));
    let read: &[&str] = if is_socket { &["protocol", "db", "user", "pass"] } else { &["protocol"] };
    let names = query.split(['&', '#']).filter(|pair| !pair.is_empty());
    let names = names.filter(|pair| !pair.split('=').next().is_some_and(|it| read.contains(&it)));
    names.map(|_| "an unknown parameter").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_nobody_reads_are_found() {
        assert_eq!(ignored("redis://h:1/0"), [""; 0]);
        assert_eq!(ignored("redis://h:1/0?protocol=resp3"), [""; 0]);
        assert_eq!(ignored("redis://h:1/0?db=7&protocol=resp3"), ["an unknown parameter"]);
    }

    #[test]
    fn parameters_of_a_socket_are_read() {
        assert_eq!(ignored("unix:///run/redis.sock?db=7&user=u&pass=p"), [""; 0]);
        assert_eq!(ignored("redis+unix:///run/redis.sock?x=7"), ["an unknown parameter"]);
        assert!(is_url("unix:///run/redis.sock?db=7") && !is_url("unix:///run/redis.sock?db=x"));
    }

    #[test]
    fn a_server_elsewhere_without_verified_tls_is_exposed() {
        for exposed in [
            "redis://redis.example:6379",
            "redis://10.0.0.7",
            "redis://[2001:db8::7]:6379",
            "redis+cluster://127.0.0.1:1,b.example:2",
            "redis+cluster://[::1]:1,[2001:db8::7]:2",
            "redis+cluster://[::1]:1,localhost:2",
            "redis+cluster://127.0.0.1:7000",
            "redis+cluster://:p@localhost:1/0",
            "redis://localhost.",
            "redis://redis.localhost",
            "rediss://redis.example#insecure",
            "rediss+cluster://localhost:1#insecure",
        ] {
            assert!(is_exposed(exposed), "{exposed}");
        }
        for local in [
            "rediss://redis.example",
            "rediss+cluster://a.example:1,b.example:2",
            "redis://localhost",
            "redis://127.0.0.2:6379",
            "redis://[::1]:6379/3",
            "redis://[::ffff:127.0.0.1]",
            "rediss+cluster://[::1]:1,localhost:2",
            "unix:///run/redis.sock",
            "redis+unix:///run/redis.sock?pass=p",
        ] {
            assert!(!is_exposed(local) && is_url(local), "{local}");
        }
    }
}
