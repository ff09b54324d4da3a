//! Supervision: bounded pools of workers and tasks that start by themselves, under one root; and
//! whose turn it is, where many wait.
//!
//! Knows ractor and the metrics, nothing of what the workers do.

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
