//! The URL of a Redis server or of a cluster.

use redis::IntoConnectionInfo as _;

/// Whether [`Link::open`](super::connection::Link::open) can parse a URL. This function needs no
/// tokio runtime.
pub(super) fn is_url(url: &str) -> bool {
    let is_one = |url: String| url.into_connection_info().is_ok();
    match cluster_nodes(url) {
        Some(nodes) => nodes.into_iter().all(is_one),
        None => is_one(url.to_owned()),
    }
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

/// Describes the URL parameters that have no effect. These are all parameters except `protocol`.
/// The result does not contain the names of the parameters, because such a name is perhaps part of
/// a password.
pub(super) fn ignored(url: &str) -> Vec<&'static str> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let names = query.split(['&', '#']).filter(|pair| !pair.is_empty());
    let names = names.filter(|pair| pair.split('=').next() != Some("protocol"));
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
}
