//! `latchkey healthcheck`: asks the admin listener whether the daemon is ready. It is for
//! containers without curl.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::admin::{Target, get, reachable};
use super::output::{Talk, print_json, say_line};
use crate::config::{Loaded, Problems};
use crate::exit::{BAD_CONFIGURATION, FAILED, USAGE};
use crate::secret::redact;

/// How long the whole check may take. It is shorter than the usual time-outs of Docker and
/// Kubernetes.
const TIMEOUT: Duration = Duration::from_secs(2);
const PATH: &str = "/readyz";

#[derive(Args, Debug)]
pub struct Arguments {
    /// Ask this URL instead of the address in `admin.listen`, for example `127.0.0.1:9090` or
    /// `http://127.0.0.1:9090/livez`
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Asks the daemon. Exits with 0 if it is ready, and with 1 if it is not ready or does not respond.
pub async fn run(
    arguments: &Arguments,
    load: impl FnOnce() -> Result<Loaded, Problems>,
    json: bool,
    talk: Talk,
) -> ExitCode {
    let target = if let Some(url) = &arguments.url {
        let Some(target) = target(url) else {
            talk.fail("--url must be host:port or http://host:port, without a user");
            return ExitCode::from(USAGE);
        };
        target
    } else {
        match load() {
            Ok(loaded) => Target {
                authority: reachable(loaded.config.admin.listen).to_string(),
                path: PATH.to_owned(),
            },
            Err(problems) => {
                talk.problems(&problems);
                return ExitCode::from(BAD_CONFIGURATION);
            }
        }
    };
    let status = match tokio::time::timeout(TIMEOUT, get(&target)).await {
        Ok(Ok(response)) => Ok(response.status),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no response within {} s", TIMEOUT.as_secs())),
    };
    let is_ready = matches!(status, Ok(200));
    if json {
        let error = status.as_ref().err();
        print_json(
            talk,
            &json!({ "ready": is_ready, "status": status.as_ref().ok(), "error": error }),
        );
    } else {
        let url = redact(&format!("http://{}{}", target.authority, target.path));
        match &status {
            Ok(200) => say_line("ready"),
            Ok(status) => say_line(&format!("not ready: {url} responds with status {status}")),
            Err(error) => say_line(&format!("not ready: {url}: {error}")),
        }
    }
    ExitCode::from(if is_ready { 0 } else { FAILED })
}

/// Reads a host and a port, or a URL with an optional path.
fn target(given: &str) -> Option<Target> {
    let rest = given.strip_prefix("http://").unwrap_or(given);
    let (authority, path) = match rest.find('/') {
        Some(at) if rest.len() > at + 1 => rest.split_at(at),
        Some(at) => (&rest[..at], PATH),
        None => (rest, PATH),
    };
    let (host, port) = authority.rsplit_once(':')?;
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
    let is_host = !host.is_empty() && !host.contains('@');
    let is_sound = is_host && port.parse::<u16>().is_ok() && is_plain(rest);
    is_sound.then(|| Target { authority: authority.to_owned(), path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_an_authority_and_perhaps_a_path() {
        let both = |text: &str| target(text).map(|target| (target.authority, target.path));
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(both("localhost:1"), pair("localhost:1", "/readyz"));
        assert_eq!(both("http://[::1]:9/"), pair("[::1]:9", "/readyz"));
        assert_eq!(both("http://a:9/livez"), pair("a:9", "/livez"));
        for wrong in
            ["", "localhost", "u:p@a:1", "https://a:1", ":1", "a:b", "a:1/x y", "a:1/\r\nX: y"]
        {
            assert_eq!(both(wrong), None, "{wrong}");
        }
    }
}
