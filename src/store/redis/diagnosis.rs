//! Why there is no connection, where the Redis client does not say: for the probe and `doctor`, never for a request.
//!
//! A full server says so and hangs up, and a client that has already sent something may lose the words. A port with
//! TLS and one without it do not understand each other. The cluster client hides what its nodes said.

use std::time::Duration;

use futures_util::future::join_all;
use redis::{ConnectionAddr, ErrorKind, RedisError, RedisResult, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::refusal::{outage, server_error};
use super::single::Server;
use crate::health::Reason;

/// A diagnosis may take so long: a probe has two seconds.
const WITHIN: Duration = Duration::from_millis(1_200);
/// A server that takes no connection says so within this time, unasked.
const UNASKED: Duration = Duration::from_millis(100);
/// The answer to a `PING` takes no longer.
const ANSWER: Duration = Duration::from_millis(250);

/// The slots of a cluster.
const SLOTS: i64 = 16_384;

/// A reason, and the server's words or ours.
pub(super) type Diagnosis = (Reason, RedisError);

/// Of one server; none where nothing is wrong with it.
pub(super) async fn of_server(server: &Server) -> Option<Diagnosis> {
    let look = async {
        match look(server.address()).await {
            Some(found) => Some(found),
            None => server.connect().await.err().map(classify),
        }
    };
    timeout(WITHIN, look).await.ok().flatten()
}

/// Of the nodes that the URL names; none where one of them serves a whole cluster.
pub(super) async fn of_cluster(nodes: &[Server]) -> Option<Diagnosis> {
    let looks = join_all(nodes.iter().map(|node| timeout(WITHIN, of_node(node)))).await;
    let mut found = Vec::new();
    for look in looks {
        found.extend(look.ok()?.err());
    }
    // A node that answers knows more of the cluster than one that does not.
    found.sort_by_key(|(reason, _)| matches!(reason, Reason::Unreachable | Reason::Timeout));
    let all_failed = found.len() == nodes.len();
    found.into_iter().next().filter(|_| all_failed)
}

async fn of_node(node: &Server) -> Result<(), Diagnosis> {
    if let Some(found) = look(node.address()).await {
        return Err(found);
    }
    let mut connection = node.connect().await.map_err(classify)?;
    let mut ask = redis::cmd("CLUSTER");
    let slots: RedisResult<Value> = ask.arg("SLOTS").query_async(&mut connection).await;
    match slots {
        Ok(ranges) if covered(&ranges) < SLOTS => {
            let text = "the nodes of the cluster do not serve every slot";
            Err((Reason::ClusterDown, (ErrorKind::Client, text).into()))
        }
        Ok(_) => Ok(()),
        Err(error) if error.detail().is_some_and(|it| it.contains("cluster support disabled")) => {
            let text = "the server is no cluster: write redis:// (or rediss://) in `redis.url`";
            Err((Reason::NotACluster, (ErrorKind::Client, text, error.to_string()).into()))
        }
        Err(error) => Err(classify(error)),
    }
}

fn classify(error: RedisError) -> Diagnosis {
    (outage(&error).unwrap_or(Reason::Refused), error)
}

/// How many slots the answer to `CLUSTER SLOTS` gives to nodes.
fn covered(ranges: &Value) -> i64 {
    let Value::Array(ranges) = ranges else { return SLOTS };
    let size = |range: &Value| match range {
        Value::Array(parts) => match parts.as_slice() {
            [Value::Int(first), Value::Int(last), ..] => last - first + 1,
            _ => 0,
        },
        _ => 0,
    };
    ranges.iter().map(size).sum()
}

/// What the port says to a client that does not use the Redis protocol's library; no secret is sent.
async fn look(address: &ConnectionAddr) -> Option<Diagnosis> {
    let (host, port, is_tls) = match address {
        ConnectionAddr::Tcp(host, port) => (host, *port, false),
        ConnectionAddr::TcpTls { host, port, .. } => (host, *port, true),
        _ => return None,
    };
    let mut stream = timeout(ANSWER, TcpStream::connect((host.as_str(), port))).await.ok()?.ok()?;
    if let Ok(said) = timeout(UNASKED, read(&mut stream)).await {
        return refusal(&said);
    }
    stream.write_all(b"PING\r\n").await.ok()?;
    let said = timeout(ANSWER, read(&mut stream)).await.ok()?;
    let text = match (is_tls, said.first()?) {
        (true, b'+' | b'-') => "the port has no TLS: write redis:// in `redis.url`, not rediss://",
        // An alert of TLS, about a record that is none.
        (false, 0x15) => "the port has TLS: write rediss:// in `redis.url`, not redis://",
        _ => return None,
    };
    Some((Reason::Unreachable, (ErrorKind::Client, text).into()))
}

/// What a server says that hangs up on every client: `-ERR max number of clients reached`, `-DENIED …`.
fn refusal(said: &[u8]) -> Option<Diagnosis> {
    let line = std::str::from_utf8(said).ok()?.lines().next()?;
    let (code, detail) = line.strip_prefix('-')?.split_once(' ')?;
    Some(classify(server_error(code, detail)))
}

async fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let count = stream.read(&mut bytes).await.unwrap_or(0);
    bytes.truncate(count);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_hangs_up_says_why() {
        let reason = |said: &[u8]| refusal(said).map(|(reason, _)| reason);
        let full = b"-ERR max number of clients reached\r\n";
        assert_eq!(reason(full), Some(Reason::TooManyConnections));
        let protected = b"-DENIED Redis is running in protected mode because\r\n";
        assert_eq!(reason(protected), Some(Reason::Refused));
        assert_eq!(reason(b""), None);
        assert_eq!(reason(b"220 mail.example.com ESMTP\r\n"), None);
    }

    #[test]
    fn slots_are_counted() {
        let range = |first, last| Value::Array(vec![Value::Int(first), Value::Int(last)]);
        assert_eq!(covered(&Value::Array(vec![range(0, 5_460), range(5_461, 16_383)])), SLOTS);
        assert_eq!(covered(&Value::Array(vec![range(0, 0)])), 1);
        assert_eq!(covered(&Value::Array(Vec::new())), 0);
    }
}
