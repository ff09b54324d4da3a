//! The certificate authorities for `rediss://`: those in `redis.ca_file` and the machine's. If there
//! are none of both, as in the container image without the setting, these are Mozilla's, which are
//! compiled into the Redis client.

use std::path::Path;

use redis::{ErrorKind, RedisResult, TlsCertificates};

use crate::authorities::Authorities;

/// The certificate authorities in the form of the Redis client. With `root_cert: None` the client
/// uses those that are compiled in.
pub(super) fn trusted(ca_file: Option<&Path>) -> RedisResult<TlsCertificates> {
    let authorities = Authorities::with(ca_file).map_err(|bad| {
        redis::RedisError::from((ErrorKind::InvalidClientConfig, "redis.ca_file", bad.to_string()))
    })?;
    Ok(TlsCertificates { client_tls: None, root_cert: authorities.pem() })
}
