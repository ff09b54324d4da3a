//! Supervision: bounded pools of workers, tasks that start by themselves, and the root that
//! supervises both. It also contains the fair queue and the fair semaphore.
//!
//! This module uses ractor and the metrics. It knows nothing about the work that the workers do.

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
