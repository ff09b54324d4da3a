//! A complete daemon on the embedded stores. Some harnesses send their input to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use latchkey::app::App;
use latchkey::clock::Clock;
use latchkey::config::{Inputs, Machine, load};
use latchkey::daemon::Daemon;
use latchkey::http::dispatch::Dispatcher;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub const ISSUER: &str = "https://latchkey.test";
/// The id and the secret of a resource server. The secret contains characters that must be encoded
/// in a form.
pub const CLIENT_ID: &str = "gateway";
pub const CLIENT_SECRET: &str = "s+e%63ret of the gateway";

/// A running daemon. Its clock stands still, its password hashes are cheap, and its rate limits are
/// off. The fields must stay in this order, because they are dropped in this order.
pub struct Fixture {
    pub dispatcher: Dispatcher,
    daemon: Daemon,
    pub runtime: Runtime,
    _directory: TempDir,
}

impl Fixture {
    /// Starts the daemon.
    ///
    /// # Panics
    /// Panics if the daemon does not start, because without a daemon there is nothing to fuzz.
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

    pub fn app(&self) -> &Arc<App> {
        self.daemon.app()
    }
}
