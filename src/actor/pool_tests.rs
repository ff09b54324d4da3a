//! Tests of `pool.rs`.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::*;
use crate::actor::Root;
use crate::problem::Cause;
use crate::telemetry::labels::PoolName;

enum Message {
    /// The worker replies when the gate is opened.
    Hold {
        gate: oneshot::Receiver<()>,
        reply: FlatReply<u32>,
    },
    Echo {
        value: u32,
        reply: FlatReply<u32>,
    },
    Panic {
        reply: FlatReply<u32>,
    },
    Fail {
        reply: FlatReply<u32>,
    },
}

struct Room {
    echoed: Arc<AtomicU64>,
}

impl Worker for Room {
    type Message = Message;

    async fn handle(&mut self, message: Message) -> Result<(), WorkerError> {
        match message {
            Message::Hold { gate, reply } => {
                let _ = gate.await;
                let _ = reply.send(Ok(0));
            }
            Message::Echo { value, reply } => {
                self.echoed.fetch_add(1, Ordering::SeqCst);
                let _ = reply.send(Ok(value));
            }
            Message::Panic { reply } => {
                let _held = reply;
                panic!("the test asks for it");
            }
            Message::Fail { reply } => {
                let _held = reply;
                return Err("an invariant is broken".into());
            }
        }
        Ok(())
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

struct Fixture {
    root: Root,
    pool: Pool<Message>,
    echoed: Arc<AtomicU64>,
}

impl Fixture {
    async fn with(workers: usize, queue: usize) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let root = Root::spawn(metrics.clone()).await.unwrap();
        let echoed = Arc::new(AtomicU64::new(0));
        let rooms = echoed.clone();
        let pool = Pool::spawn(
            PoolName::Captcha,
            Limits {
                workers,
                queue,
                deadline: PATIENCE,
                give_up: Some(PATIENCE + Duration::from_secs(1)),
            },
            root.cell(),
            metrics,
            move || Room { echoed: rooms.clone() },
        )
        .await
        .unwrap();
        Self { root, pool, echoed }
    }

    async fn echo(&self, value: u32) -> Result<u32, Unavailable> {
        self.pool.ask(far(), |reply| Message::Echo { value, reply }).await
    }

    /// Blocks a worker until the test uses or drops the returned gate.
    fn occupy(&self) -> oneshot::Sender<()> {
        let (open, gate) = oneshot::channel();
        let (reply, _) = oneshot::channel();
        self.pool.nudge(Message::Hold { gate, reply: reply.into() }).unwrap();
        open
    }
}

fn far() -> Instant {
    Instant::now() + PATIENCE
}

#[tokio::test]
async fn a_worker_answers() {
    let fixture = Fixture::with(2, 2).await;
    assert_eq!(fixture.echo(7).await.unwrap(), 7);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_counts() {
    let fixture = Fixture::with(1, 1).await;
    let (_running, _queued) = (fixture.occupy(), fixture.occupy());
    let refused = fixture.echo(1).await.unwrap_err();
    assert_eq!(refused.cause, Cause::Shed);
    assert_eq!(fixture.pool.shed(), 1);
}

#[tokio::test]
async fn who_asks_for_room_takes_none() {
    let fixture = Fixture::with(1, 2).await;
    let _running = fixture.occupy();
    for _ in 0..5 {
        fixture.pool.room_for("somebody").unwrap();
    }
    assert_eq!((fixture.pool.permits.taken(), fixture.pool.shed()), (1, 0));
    let _queued = (fixture.occupy(), fixture.occupy());
    assert_eq!(fixture.pool.room_for("somebody").unwrap_err().cause, Cause::Shed);
    assert_eq!(fixture.pool.shed(), 1);
}

#[tokio::test]
async fn room_is_free_again_once_a_job_is_done() {
    let fixture = Fixture::with(1, 0).await;
    let open = fixture.occupy();
    assert!(fixture.echo(1).await.is_err());
    open.send(()).unwrap();
    // The worker drops the job shortly after the reply. Only then does the permit become free.
    while fixture.pool.permits.taken() == 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.echo(2).await.unwrap(), 2);
}

#[tokio::test]
async fn a_panic_costs_its_caller_alone() {
    let fixture = Fixture::with(1, 4).await;
    let lost = fixture.pool.ask(far(), |reply| Message::Panic { reply }).await.unwrap_err();
    assert_eq!(lost.cause, Cause::Dependency);
    assert_eq!(fixture.echo(3).await.unwrap(), 3);
    assert_eq!(fixture.pool.crashes(), 1);
    assert!(!fixture.root.failed().is_cancelled());
}

#[tokio::test]
async fn a_broken_invariant_replaces_the_worker() {
    let fixture = Fixture::with(1, 4).await;
    assert!(fixture.pool.ask(far(), |reply| Message::Fail { reply }).await.is_err());
    assert_eq!(fixture.echo(4).await.unwrap(), 4);
    assert_eq!(fixture.pool.crashes(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_job_never_runs() {
    let fixture = Fixture::with(1, 4).await;
    let open = fixture.occupy();
    let soon = Instant::now() + Duration::from_millis(50);
    let late = fixture.pool.ask(soon, |reply| Message::Echo { value: 1, reply }).await;
    assert_eq!(late.unwrap_err().cause, Cause::Dependency);
    open.send(()).unwrap();
    assert_eq!(fixture.echo(2).await.unwrap(), 2);
    assert_eq!(fixture.echoed.load(Ordering::SeqCst), 1, "only the second ran");
    assert_eq!(fixture.pool.expired(), 1);
}

#[tokio::test]
async fn draining_finishes_the_queue() {
    let fixture = Fixture::with(1, 4).await;
    let open = fixture.occupy();
    let asks: Vec<_> = (0..3)
        .map(|value| {
            let (sender, receiver) = oneshot::channel();
            fixture.pool.nudge(Message::Echo { value, reply: sender.into() }).unwrap();
            receiver
        })
        .collect();
    fixture.root.drain();
    let drained = fixture.pool.drain(PATIENCE);
    open.send(()).unwrap();
    drained.await;
    for (value, ask) in (0..3).zip(asks) {
        assert_eq!(ask.await.unwrap().unwrap(), value);
    }
    assert!(fixture.echo(9).await.is_err(), "a drained pool takes nothing");
    assert!(!fixture.root.failed().is_cancelled());
}

#[tokio::test]
async fn a_killed_factory_trips_the_shutdown() {
    let fixture = Fixture::with(1, 1).await;
    fixture.pool.cell().kill();
    tokio::time::timeout(PATIENCE, fixture.root.failed().cancelled()).await.unwrap();
    assert!(fixture.echo(1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_hangs_is_given_up_and_the_worker_goes_on() {
    let fixture = Fixture::with(1, 4).await;
    let _never = fixture.occupy();
    let late = fixture.echo(1).await;
    assert_eq!(late.unwrap_err().cause, Cause::Dependency);
    // After one more second the hanging job is cancelled, so the next job starts before its
    // deadline.
    assert_eq!(fixture.echo(2).await.unwrap(), 2);
    assert_eq!(fixture.pool.crashes(), 0);
}
