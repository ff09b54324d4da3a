//! A whole daemon on the embedded stores, for what needs one.

use std::collections::BTreeMap;
use std::sync::Arc;

use latchkey::app::App;
use latchkey::clock::Clock;
use latchkey::config::{Inputs, Machine, load};
use latchkey::daemon::Daemon;
use latchkey::http::dispatch::Dispatcher;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The issuer of the fixture's tokens.
pub const ISSUER: &str = "https://latchkey.test";
/// A resource server's id, and its secret, which has to be encoded in a form.
pub const CLIENT_ID: &str = "gateway";
pub const CLIENT_SECRET: &str = "s+e%63ret of the gateway";

/// A daemon at a standing clock, with cheap hashes and without limits. The fields stand in the order of their end.
pub struct Fixture {
    pub dispatcher: Dispatcher,
    daemon: Daemon,
    pub runtime: Runtime,
    _directory: TempDir,
}

impl Fixture {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not start: there is nothing to fuzz then.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let data_dir = directory.path().join("data").display().to_string();
        let client = format!("{CLIENT_ID}:{CLIENT_SECRET}");
        let environment: BTreeMap<String, String> = [
            ("HTTP__LISTEN", "127.0.0.1:0"),
            ("ADMIN__LISTEN", "127.0.0.1:0"),
            ("PUBLIC_URL", ISSUER),
            ("DATA_DIR", data_dir.as_str()),
            ("PASSWORD__MEMORY_KIB", "64"),
            ("PASSWORD__ITERATIONS", "1"),
            ("RATE_LIMIT__ENABLED", "false"),
            ("INTROSPECTION__CLIENTS", client.as_str()),
        ]
        .map(|(name, value)| (format!("LATCHKEY_{name}"), value.to_owned()))
        .into();
        let machine = Machine { cores: 2, log_on_terminal: false };
        let inputs = Inputs { files: Vec::new(), environment: &environment, flags: &[], machine };
        let config = load(&inputs).unwrap_or_else(|problems| panic!("{problems}")).config;
        let runtime = Runtime::new().expect("a runtime");
        let clock = Clock::manual(1_800_000_000_000);
        let daemon = runtime.block_on(Daemon::start(config, clock)).expect("a daemon");
        Self {
            dispatcher: Dispatcher::new(daemon.app().clone()),
            daemon,
            runtime,
            _directory: directory,
        }
    }

    /// Its inside.
    pub fn app(&self) -> &Arc<App> {
        self.daemon.app()
    }
}
