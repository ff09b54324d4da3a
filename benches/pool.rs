//! Benchmark: a call to a pool. It is compared with the cheapest way to pass work to another task
//! and to wait for the result: a bounded channel for the work and a oneshot channel for the result.

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use latchkey::actor::{FlatReply, Limits, Pool, Root, Worker, WorkerError};
use latchkey::telemetry::Metrics;
use latchkey::telemetry::labels::PoolName;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::measure::{Effort, Table, as_nanos, measured};

/// A message with a number. The worker sends the number back.
struct Ask(u64, FlatReply<u64>);

/// A worker that sends the number of each message back.
struct Echo;

impl Worker for Echo {
    type Message = Ask;

    async fn handle(&mut self, Ask(number, reply): Ask) -> Result<(), WorkerError> {
        let _ = reply.send(Ok(number));
        Ok(())
    }
}

pub fn run(effort: Effort) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(effort));
}

async fn measure(effort: Effort) {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let root = Root::spawn(metrics.clone()).await.expect("a root");
    let limits = Limits { workers: 4, queue: 64, deadline: Duration::from_secs(5), give_up: None };
    let pool = Pool::spawn(PoolName::Captcha, limits, root.cell(), metrics, || Echo)
        .await
        .expect("a pool");
    Table::new("pool", effort);
    for callers in [1, 16] {
        let (mut asks, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..effort.rounds {
            bare.push(hand_over(callers, effort.round).await);
            asks.push(ask(&pool, callers, effort.round).await);
        }
        measured(
            &format!("pool ask, {callers} at once"),
            &mut asks,
            "channel there, oneshot back",
            &mut bare,
        );
    }
    root.drain();
    pool.drain(Duration::from_secs(5)).await;
    root.stop();
}

/// Lets all callers call the pool for one round. Returns the elapsed time divided by the number of
/// all calls.
async fn ask(pool: &Pool<Ask>, callers: usize, round: Duration) -> f64 {
    let mut all = JoinSet::new();
    let started = Moment::now();
    for _ in 0..callers {
        let pool = pool.clone();
        all.spawn(async move {
            let mut count = 0_u64;
            while started.elapsed() < round {
                let deadline = Instant::now() + Duration::from_secs(5);
                pool.ask(deadline, |reply| Ask(count, reply)).await.expect("an answer");
                count += 1;
            }
            count
        });
    }
    each(all, started).await
}

/// Measures the same as [`ask`] without a pool, with tokio's channels alone.
async fn hand_over(callers: usize, round: Duration) -> f64 {
    let (sender, mut receiver) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(64);
    let mut echo = JoinSet::new();
    echo.spawn(async move {
        while let Some((number, reply)) = receiver.recv().await {
            let _ = reply.send(number);
        }
    });
    let mut all = JoinSet::new();
    let started = Moment::now();
    for _ in 0..callers {
        let sender = sender.clone();
        all.spawn(async move {
            let mut count = 0_u64;
            while started.elapsed() < round {
                let (reply, answer) = oneshot::channel();
                sender.send((count, reply)).await.expect("taken");
                answer.await.expect("an answer");
                count += 1;
            }
            count
        });
    }
    each(all, started).await
}

async fn each(all: JoinSet<u64>, started: Moment) -> f64 {
    let count: u64 = all.join_all().await.into_iter().sum();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    as_nanos(started.elapsed()) / f64::from(count.max(1))
}
