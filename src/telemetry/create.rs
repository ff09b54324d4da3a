//! Creates instruments from their rows of the [registry](super::registry).

use std::marker::PhantomData;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

use super::attributes::DeclaredValues;
use super::instrument::{Instrument, Kind};
use super::typed::{Count, Level, Series, Timing};

pub(super) fn count(meter: &Meter, row: &Instrument, declared: &DeclaredValues) -> Counter<u64> {
    let counter =
        meter.u64_counter(row.name).with_unit(row.unit).with_description(row.description).build();
    for series in row.zeroes(declared) {
        let attributes: Vec<KeyValue> =
            series.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        counter.add(0, &attributes);
    }
    counter
}

/// Checks that a field and its row have the same attributes.
fn hold<S: Series>(row: &Instrument) {
    debug_assert_eq!(format!("{:?}", row.shapes), format!("{:?}", S::SHAPES), "{}", row.name);
}

pub(super) fn counted<S: Series>(
    meter: &Meter,
    row: &Instrument,
    declared: &DeclaredValues,
) -> Count<S> {
    hold::<S>(row);
    Count(count(meter, row, declared), PhantomData)
}

pub(super) fn timing<S: Series>(
    meter: &Meter,
    row: &Instrument,
    declared: &DeclaredValues,
) -> Timing<S> {
    hold::<S>(row);
    Timing(seconds(meter, row, declared), PhantomData)
}

pub(super) fn level<S: Series>(
    meter: &Meter,
    row: &Instrument,
    declared: &DeclaredValues,
) -> Level<S> {
    hold::<S>(row);
    Level(number(meter, row, declared), PhantomData)
}

pub(super) fn up_down(meter: &Meter, row: &Instrument, _: &DeclaredValues) -> UpDownCounter<i64> {
    meter
        .i64_up_down_counter(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .build()
}

fn number(meter: &Meter, row: &Instrument, _: &DeclaredValues) -> Gauge<u64> {
    meter.u64_gauge(row.name).with_unit(row.unit).with_description(row.description).build()
}

pub(super) fn value(meter: &Meter, row: &Instrument, _: &DeclaredValues) -> Gauge<f64> {
    meter.f64_gauge(row.name).with_unit(row.unit).with_description(row.description).build()
}

pub(super) fn seconds(meter: &Meter, row: &Instrument, _: &DeclaredValues) -> Histogram<f64> {
    let Kind::Histogram(buckets) = row.kind else { unreachable!("{} is no histogram", row.name) };
    meter
        .f64_histogram(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_boundaries(buckets.to_vec())
        .build()
}
