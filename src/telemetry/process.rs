//! The metrics `process.*`. The kernel reports all but the uptime in `/proc/self`. On a system
//! without `/proc/self` these series do not exist.

use std::fs;
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::observed::{float_counter, up_down};
use super::registry;

/// Ticks per second in `/proc/self/stat` (`USER_HZ`): 100 for programs on every machine that Linux
/// runs on (proc(5), time(7)).
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn register(meter: &Meter) {
    float_counter(meter, &registry::PROCESS_CPU, |observe| {
        if let Some((user, system)) = read("/proc/self/stat").as_deref().and_then(cpu_seconds) {
            observe(user, &[KeyValue::new("cpu.mode", "user")]);
            observe(system, &[KeyValue::new("cpu.mode", "system")]);
        }
    });
    for (row, name, unit) in [
        (&registry::PROCESS_MEMORY, "VmRSS:", 1024),
        (&registry::PROCESS_VIRTUAL, "VmSize:", 1024),
        (&registry::PROCESS_THREADS, "Threads:", 1),
    ] {
        up_down(meter, row, move |observe| {
            if let Some(value) = read("/proc/self/status").as_deref().and_then(|it| field(it, name))
            {
                observe(value.saturating_mul(unit), &[]);
            }
        });
    }
    up_down(meter, &registry::PROCESS_FILES, |observe| {
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            // The folder that is being read is itself an open file.
            let count = files.count().saturating_sub(1);
            observe(i64::try_from(count).unwrap_or(i64::MAX), &[]);
        }
    });
    let (row, started) = (&registry::PROCESS_UPTIME, Instant::now());
    meter
        .f64_observable_gauge(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_callback(move |it| it.observe(started.elapsed().as_secs_f64(), &[]))
        .build();
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// `utime` and `stime` of `/proc/self/stat` (fields 14 and 15), in seconds. Field 2, the name of
/// the process, may contain any character, so the fields are counted from the last `)`.
fn cpu_seconds(stat: &str) -> Option<(f64, f64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok().map(f64::from);
    Some((ticks()? / TICKS_PER_SECOND, ticks()? / TICKS_PER_SECOND))
}

/// The number in a line of `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read_whatever_the_process_is_called() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 5 6 20 0 3 0 100 200 300";
        assert_eq!(cpu_seconds(stat), Some((2.5, 1.5)));
        assert_eq!(cpu_seconds("nothing"), None);
        let status = "Name:\tlatchkey\nVmRSS:\t   2048 kB\nThreads:\t7\n";
        assert_eq!((field(status, "VmRSS:"), field(status, "Threads:")), (Some(2048), Some(7)));
        assert_eq!(field(status, "VmSize:"), None);
    }
}
