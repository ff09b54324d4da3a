//! Supervision: bounded pools of workers, background tasks, and the root, which supervises the
//! pools and the tasks. This module also contains the fair queue and the fair semaphore.
//!
//! This module uses the crate ractor and the metrics. It does not depend on the work that the
//! workers do.

mod fair_semaphore;
mod observer;
mod permits;
mod pool;
mod queue;
mod root;
mod task;
mod turns;

pub use fair_semaphore::{FairSemaphore, Permit};
pub use permits::{FairPermit, FairPermits, PermitHolder, PermitRefusal};
pub use pool::{FlatReply, Limits, Pool, Reply, Worker, WorkerError};
pub use ractor::SpawnErr as SpawnError;
pub use root::Root;
pub use task::Task;
