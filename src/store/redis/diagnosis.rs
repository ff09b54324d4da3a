//! Functions that find out why there is no connection to Redis if the error of the Redis client
//! does not say this. The probe and `doctor` use them. A request never uses them.
//!
//! The error of the Redis client does not say the reason in three cases:
//!
//! - The server has no free connection. It sends an error and closes the connection. If the client
//!   has already sent data, the client perhaps does not receive this error.
//! - The client uses TLS and the port does not, or the port uses TLS and the client does not.
//! - The URL is for a cluster. The cluster client hides the errors of its nodes.

use std::time::Duration;

use futures_util::future::join_all;
use redis::{ConnectionAddr, ErrorKind, RedisError, RedisResult, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::refusal::{outage, server_error};
use super::single::Server;
use crate::health::Reason;

/// The time limit of a diagnosis. A probe, which includes the diagnosis, has two seconds.
const WITHIN: Duration = Duration::from_millis(1_200);
/// A server that accepts no more connections sends its error within this time, before the client
/// sends a command.
const UNASKED: Duration = Duration::from_millis(100);
/// The time limit for connecting and for the response to a `PING`.
const ANSWER: Duration = Duration::from_millis(250);

/// The number of slots of a cluster.
const SLOTS: i64 = 16_384;

/// The reason for the failure, with an error of the server or of latchkey.
pub(super) type Diagnosis = (Reason, RedisError);

/// The diagnosis of one server. `None` if no problem was found.
pub(super) async fn of_server(server: &Server) -> Option<Diagnosis> {
    let look = async {
        match look(server.address()).await {
            Some(found) => Some(found),
            None => server.connect().await.err().map(classify),
        }
    };
    timeout(WITHIN, look).await.ok().flatten()
}

/// The diagnosis of the nodes in the URL. `None` if at least one node belongs to a cluster that
/// serves all slots.
pub(super) async fn of_cluster(nodes: &[Server]) -> Option<Diagnosis> {
    let looks = join_all(nodes.iter().map(|node| timeout(WITHIN, of_node(node)))).await;
    let mut found = Vec::new();
    for look in looks {
        found.extend(look.ok()?.err());
    }
    // The errors of nodes that respond come first, because they say more about the cluster than the
    // errors of nodes that do not respond.
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
            let text =
                "the server is not part of a cluster: write redis:// (or rediss://) in `redis.url`";
            Err((Reason::NotACluster, (ErrorKind::Client, text, error.to_string()).into()))
        }
        Err(error) => Err(classify(error)),
    }
}

fn classify(error: RedisError) -> Diagnosis {
    (outage(&error).unwrap_or(Reason::Refused), error)
}

/// The number of slots that are served by any node, according to the response to `CLUSTER SLOTS`.
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

/// Connects to the server's port without the Redis client, and checks which bytes the server sends.
/// Sends no secret.
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
        (true, b'+' | b'-') => {
            "the port does not use TLS: write redis:// in `redis.url`, not rediss://"
        }
        // 0x15 is a TLS alert. The port uses TLS, and the data that it received was not a valid TLS
        // record.
        (false, 0x15) => "the port uses TLS: write rediss:// in `redis.url`, not redis://",
        _ => return None,
    };
    Some((Reason::Unreachable, (ErrorKind::Client, text).into()))
}

/// Reads the error of a server that closes every connection, for example `-ERR max number of
/// clients reached` or `-DENIED …`.
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
