//! The composition root.

use std::process::ExitCode;

use crate::config::Loaded;

/// Runs the daemon until it is told to stop.
#[expect(clippy::unused_async, reason = "the daemon awaits its listeners")]
pub async fn run(loaded: Loaded) -> ExitCode {
    drop(loaded);
    ExitCode::SUCCESS
}
