use std::io::{BufRead as _, BufReader, pipe};
use std::panic::{self, PanicHookInfo};
use std::sync::Mutex;

use super::super::panics::report;
use super::*;

/// Longer than any test waits.
const LONG: Duration = Duration::from_mins(1);

/// What one write of a [`Descriptor`] does.
enum Step {
    Take(usize),
    Fail(io::ErrorKind),
    Panic,
}

/// A descriptor that follows the steps, then accepts everything. It records each write.
#[derive(Clone, Default)]
struct Descriptor {
    steps: Arc<Mutex<VecDeque<Step>>>,
    writes: Arc<Mutex<Vec<String>>>,
}

impl Descriptor {
    fn then(self, step: Step) -> Self {
        self.steps.lock().unwrap().push_back(step);
        self
    }

    fn writes(&self) -> Vec<String> {
        self.writes.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        self.writes().concat()
    }
}

impl Write for Descriptor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = self.steps.lock().unwrap().pop_front();
        let count = match step {
            None => bytes.len(),
            Some(Step::Take(count)) => count,
            Some(Step::Fail(kind)) => return Err(kind.into()),
            Some(Step::Panic) => panic!("a planted panic of the descriptor"),
        };
        self.writes.lock().unwrap().push(String::from_utf8(bytes[..count].to_vec()).unwrap());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn on(out: &Descriptor) -> Writer<Descriptor> {
    Writer::new(out.clone(), LogFormat::Json)
}

/// Writes these lines in one batch.
fn write(writer: &mut Writer<Descriptor>, queue: &Queue<Vec<u8>>, lines: &[&str]) {
    for line in lines {
        queue.put(format!("{line}\n").into_bytes(), line.len() + 1);
    }
    queue.hurry();
    writer.write_from(queue);
}

/// The lines. Each report of dropped lines is shown as `-N`.
fn shown(text: &str) -> Vec<String> {
    let short = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(report) if report["dropped"].is_u64() => {
            assert_eq!(
                (&report["level"], &report["target"]),
                (&"WARN".into(), &"latchkey::telemetry".into())
            );
            format!("-{}", report["dropped"])
        }
        _ => line.to_owned(),
    };
    text.lines().map(short).collect()
}

fn queue() -> Queue<Vec<u8>> {
    Queue::new(LINES_MAX, BYTES_MAX)
}

#[test]
fn a_write_holds_whole_lines_and_as_many_as_a_pipe_takes_at_once() {
    let out = Descriptor::default();
    let lines: Vec<String> =
        (0..100).map(|number| format!("{number} {}", "x".repeat(397))).collect();
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let long = "y".repeat(10_000);
    lines.insert(50, &long);
    write(&mut on(&out), &queue(), &lines);
    assert_eq!(out.text().lines().collect::<Vec<_>>(), lines);
    assert_eq!(out.writes().len(), 11, "100 lines of 400 bytes, and one that is too long");
    for write in out.writes() {
        assert!(write.ends_with('\n') && (write.len() <= WRITE_MAX || write.len() == 10_001));
    }
}

#[test]
fn the_gap_is_reported_in_its_place_and_once() {
    let (out, queue) = (Descriptor::default(), Queue::new(2, 100));
    let mut writer = on(&out);
    write(&mut writer, &queue, &["1", "2", "3", "4"]);
    write(&mut writer, &queue, &["5"]);
    assert_eq!(shown(&out.text()), ["1", "2", "-2", "5"]);
}

#[test]
fn what_a_closed_pipe_refuses_is_counted_and_costs_a_few_calls() {
    let mut out = Descriptor::default();
    for _ in 0..5 {
        out = out.then(Step::Fail(io::ErrorKind::BrokenPipe));
    }
    let (mut writer, queue) = (on(&out), queue());
    write(&mut writer, &queue, &vec!["1"; 8_000]);
    // The second failure happened while the report was written.
    assert_eq!((writer.lost, out.steps.lock().unwrap().len()), (8_000, 3));
    write(&mut writer, &queue, &["2"]);
    assert_eq!((writer.lost, out.steps.lock().unwrap().len()), (8_001, 1));
    write(&mut writer, &queue, &["3"]);
    assert_eq!(shown(&out.text()), ["-8002"]);
    write(&mut writer, &queue, &["4"]);
    assert_eq!(shown(&out.text()), ["-8002", "4"]);
}

#[test]
fn a_line_that_a_full_disk_cut_off_is_ended_before_the_next() {
    let out = Descriptor::default()
        .then(Step::Take(5))
        .then(Step::Fail(io::ErrorKind::StorageFull))
        .then(Step::Fail(io::ErrorKind::StorageFull));
    let (mut writer, queue) = (on(&out), queue());
    write(&mut writer, &queue, &["one", "two", "three"]);
    assert_eq!((out.text().as_str(), writer.lost, writer.is_torn), ("one\nt", 2, true));
    write(&mut writer, &queue, &["four"]);
    assert_eq!(shown(&out.text()), ["one", "t", "-2", "four"]);
}

#[test]
fn a_write_that_was_interrupted_or_would_block_is_tried_again() {
    let out = Descriptor::default()
        .then(Step::Fail(io::ErrorKind::Interrupted))
        .then(Step::Take(2))
        .then(Step::Fail(io::ErrorKind::WouldBlock));
    write(&mut on(&out), &queue(), &["one", "two"]);
    assert_eq!(out.writes(), ["on", "e\ntwo\n"]);
}

#[test]
fn a_report_for_people_is_text() {
    let fields = Map::from_iter([("dropped".to_owned(), 7.into())]);
    let line = String::from_utf8(own_line(LogFormat::Pretty, "WARN", "lines", &fields)).unwrap();
    assert!(line.ends_with("Z  WARN lines dropped=7\n"), "{line}");
}

#[test]
fn a_panic_of_the_thread_that_writes_costs_the_lines_in_hand_alone() {
    let out = Descriptor::default().then(Step::Panic);
    let log = Log::on(out.clone(), LogFormat::Json).unwrap();
    log.put(b"1\n".to_vec());
    assert!(log.queue.flush(LONG), "it goes on");
    log.put(b"2\n".to_vec());
    assert!(log.queue.flush(LONG));
    assert_eq!(shown(&out.text()), ["-1", "2"]);
}

/// Panics in a thread while `log` reports panics, then restores the previous hook.
fn panic_under(log: &Log) {
    const NAME: &str = "planted";
    let before: Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync> = panic::take_hook().into();
    let (hooked, others) = (log.clone(), before.clone());
    // Other tests of this process may panic at the same time.
    panic::set_hook(Box::new(move |info| match thread::current().name() {
        Some(NAME) => report(&hooked, info),
        _ => others(info),
    }));
    let planted = thread::Builder::new().name(NAME.to_owned());
    let ended = planted.spawn(|| panic!("a planted \"panic\"")).unwrap().join();
    panic::set_hook(Box::new(move |info| before(info)));
    assert!(ended.is_err());
}

#[test]
fn a_reader_that_stalls_blocks_neither_lines_nor_panics() {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(&vec![b'\n'; 65_536]).unwrap();
    let log = Log::on(writer, LogFormat::Json).unwrap();
    log.put(b"first\n".to_vec());
    assert!(!log.queue.flush(Duration::from_millis(1)), "the pipe is full");
    panic_under(&log);
    // The thread takes the queue's content once before it stalls.
    let count = LINES_MAX * 2 + 10;
    (0..count).for_each(|_| log.put(b"more\n".to_vec()));
    let read = thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map(Result::unwrap);
        let lines = lines.skip_while(String::is_empty).take_while(|line| line != "last");
        lines.collect::<Vec<_>>().join("\n")
    });
    assert!(log.queue.flush(LONG), "the reader is back");
    log.put(b"last\n".to_vec());
    let shown = shown(&read.join().unwrap());
    assert_eq!(shown[0], "first");
    let panic: Value = serde_json::from_str(&shown[1]).unwrap();
    assert_eq!((&panic["level"], &panic["thread"]), (&"ERROR".into(), &"planted".into()));
    assert_eq!(panic["reason"], "a planted \"panic\"");
    assert!(panic["location"].as_str().unwrap().contains("writer_tests.rs"), "{panic}");
    let missing: usize = shown.last().unwrap().strip_prefix('-').unwrap().parse().unwrap();
    // In addition there are the first line, the panic and the report.
    assert_eq!(shown.len() - 3 + missing, count);
    assert!(missing >= 10 && shown.iter().filter(|line| line.starts_with('-')).count() == 1);
}

#[test]
fn a_panic_loses_no_count_of_lines_that_the_queue_dropped() {
    let out = Descriptor::default().then(Step::Panic);
    let (mut writer, queue) = (on(&out), Queue::new(2, 100));
    let write = AssertUnwindSafe(|| write(&mut writer, &queue, &["1", "2", "3", "4", "5"]));
    catch_unwind(write).unwrap_err();
    writer.give_up();
    super::tests::write(&mut writer, &queue, &["6"]);
    assert_eq!(shown(&out.text()), ["-5", "6"]);
}
