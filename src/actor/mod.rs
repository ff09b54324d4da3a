//! Supervision: bounded pools of workers under one root.
//!
//! Knows ractor and the metrics, nothing of what the workers do.

mod pool;
mod root;
mod ticker;

pub use pool::{Limits, Pool, Reply, Worker, WorkerError};
pub use ractor::SpawnErr as SpawnError;
pub use root::Root;
pub use ticker::every;
