//! The CPU time and the memory of other processes, read from `/proc`.
//!
//! `/proc/PID/task/TID/schedstat` counts nanoseconds, while `/proc/PID/stat` counts hundredths of a
//! second, which is too coarse for a window of a second. A thread that ends takes its count with
//! it. The threads that do the work live longer than a window.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// The processes of one installation: the daemon and its servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processes {
    pub daemon: Option<u32>,
    /// The first process of PostgreSQL. Each of its connections has a process of its own.
    pub postgres: Option<u32>,
    pub redis: Option<u32>,
}

/// The CPU time that each of the processes has used in a window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub daemon: Duration,
    pub postgres: Duration,
    pub redis: Duration,
}

impl Cpu {
    pub fn total(self) -> Duration {
        self.daemon + self.postgres + self.redis
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            daemon: self.daemon + other.daemon,
            postgres: self.postgres + other.postgres,
            redis: self.redis + other.redis,
        }
    }
}

/// The counters of all processes at the begin of a window.
#[derive(Debug)]
pub struct Window {
    processes: Processes,
    daemon: Counters,
    postgres: Counters,
    redis: Counters,
}

impl Window {
    pub fn begin(processes: Processes) -> Self {
        let read = |pid: Option<u32>| pid.map(Counters::of_one).unwrap_or_default();
        Self {
            processes,
            daemon: read(processes.daemon),
            postgres: processes.postgres.map(Counters::of_tree).unwrap_or_default(),
            redis: read(processes.redis),
        }
    }

    pub fn end(&self) -> Cpu {
        let now = Self::begin(self.processes);
        Cpu {
            daemon: now.daemon.since(&self.daemon),
            postgres: now.postgres.since(&self.postgres),
            redis: now.redis.since(&self.redis),
        }
    }
}

/// The CPU time of every thread of a process, or of a process and its children.
#[derive(Debug, Default)]
struct Counters {
    threads: HashMap<String, Duration>,
    /// The time of the children that have ended.
    ended: Duration,
}

impl Counters {
    fn of_one(pid: u32) -> Self {
        let mut counters = Self::default();
        counters.add(&pid.to_string());
        counters
    }

    fn of_tree(root: u32) -> Self {
        let mut counters = Self::of_one(root);
        let root = root.to_string();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_string_lossy().into_owned();
            if pid.starts_with(|it: char| it.is_ascii_digit())
                && stat(&pid).is_some_and(|fields| fields.get(1) == Some(&root))
            {
                counters.add(&pid);
            }
        }
        let fields = stat(&root).unwrap_or_default();
        let ticks = fields.get(13..15).unwrap_or_default().iter();
        let ticks: u64 = ticks.filter_map(|it| it.parse::<u64>().ok()).sum();
        // The kernel reports these two fields in hundredths of a second on every machine.
        counters.ended = Duration::from_millis(ticks * 10);
        counters
    }

    fn add(&mut self, pid: &str) {
        for entry in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let path = entry.path();
            let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            let nanos = text.split(' ').next().and_then(|it| it.parse().ok());
            let nanos = nanos.map_or(Duration::ZERO, Duration::from_nanos);
            self.threads.insert(path.to_string_lossy().into_owned(), nanos);
        }
    }

    /// The time since `earlier`. A process that has ended since then counts with the time that its
    /// parent has taken over.
    fn since(&self, earlier: &Self) -> Duration {
        let mut sum = Duration::ZERO;
        for (thread, now) in &self.threads {
            sum += now.saturating_sub(earlier.threads.get(thread).copied().unwrap_or_default());
        }
        let ended = self.ended.saturating_sub(earlier.ended);
        let gone = earlier.threads.iter().filter(|(thread, _)| !self.threads.contains_key(*thread));
        let before: Duration = gone.map(|(_, time)| *time).sum();
        sum + ended.saturating_sub(before)
    }
}

/// The fields of `/proc/PID/stat` after the name, which may contain spaces.
fn stat(pid: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

/// The resident memory of a process in MiB.
pub fn resident_mib(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u32>().ok());
    f64::from(kib.unwrap_or_default()) / 1024.0
}

/// Refuses a kernel without the counters, because every number of the table would be zero.
pub fn check() -> Result<(), String> {
    match fs::metadata("/proc/self/schedstat") {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "/proc/self/schedstat: {error}. The load generator needs Linux with CONFIG_SCHED_INFO"
        )),
    }
}
