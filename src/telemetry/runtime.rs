//! The metrics `tokio.*`: how busy the threads of the async runtime are.

use std::time::Duration;

use opentelemetry::metrics::Meter;
use tokio::runtime::{Handle, RuntimeMetrics};

use super::instrument::Instrument;
use super::observed::float_counter;
use super::registry;

/// Creates the instruments of the current runtime. Does nothing outside a runtime.
pub(super) fn register(meter: &Meter) {
    let Ok(handle) = Handle::try_current() else { return };
    gauge(meter, &registry::TOKIO_WORKERS, &handle, RuntimeMetrics::num_workers);
    gauge(meter, &registry::TOKIO_TASKS, &handle, RuntimeMetrics::num_alive_tasks);
    gauge(meter, &registry::TOKIO_QUEUE, &handle, RuntimeMetrics::global_queue_depth);
    let runtime = handle.metrics();
    float_counter(meter, &registry::TOKIO_BUSY, move |observe| {
        let busy = |worker| runtime.worker_total_busy_duration(worker);
        let total: Duration = (0..runtime.num_workers()).map(busy).sum();
        observe(total.as_secs_f64(), &[]);
    });
    let (row, runtime) = (&registry::TOKIO_PARKS, handle.metrics());
    meter
        .u64_observable_counter(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_callback(move |it| {
            let parks = |worker| runtime.worker_park_count(worker);
            it.observe((0..runtime.num_workers()).map(parks).sum(), &[]);
        })
        .build();
}

fn gauge(meter: &Meter, row: &Instrument, handle: &Handle, read: fn(&RuntimeMetrics) -> usize) {
    let runtime = handle.metrics();
    meter
        .u64_observable_gauge(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_callback(move |it| it.observe(read(&runtime) as u64, &[]))
        .build();
}
