//! Generates `docs/telemetry.md`. A test compares the file with it.

use std::fmt::Write as _;

use super::attributes::Attribute;
use super::instrument::Instrument;
use super::registry;

/// The text before the tables. The rest of the page is generated from the [registry].
const HEAD: &str = include_str!("document.md");

/// The content of the page.
pub fn document() -> String {
    let mut page = HEAD.to_owned();
    for (title, is_in) in GROUPS {
        let _ = write!(
            page,
            "\n### {title}\n\n| metric | in Prometheus | kind | unit | attributes | description |\n"
        );
        page.push_str("|---|---|---|---|---|---|\n");
        for instrument in registry::ALL.iter().filter(|it| is_in(it)) {
            row(&mut page, instrument);
        }
    }
    page.push_str("\n## Attributes\n\n| attribute | metric | values |\n|---|---|---|\n");
    for instrument in registry::ALL {
        for attribute in attributes(instrument) {
            let values: Vec<String> = instrument
                .shapes
                .iter()
                .flat_map(|shape| shape.iter().filter(|it| it.key == attribute.key))
                .map(|it| it.values.describe())
                .collect();
            let mut values = values;
            values.dedup();
            let _ = writeln!(
                page,
                "| `{}` | `{}` | {} |",
                attribute.key,
                instrument.name,
                values.join("; ")
            );
        }
    }
    page
}

type Group = (&'static str, fn(&Instrument) -> bool);

const GROUPS: [Group; 3] = [
    ("Metrics of OpenTelemetry's conventions", |it| {
        !it.is_ours() && !it.name.starts_with("process.") && !it.name.starts_with("tokio.")
    }),
    ("Metrics of the process", |it| {
        it.name.starts_with("process.") || it.name.starts_with("tokio.")
    }),
    ("Metrics of latchkey", Instrument::is_ours),
];

fn row(page: &mut String, instrument: &Instrument) {
    let keys: Vec<String> =
        attributes(instrument).iter().map(|it| format!("`{}`", it.key)).collect();
    let _ = writeln!(
        page,
        "| `{}` | `{}` | {} | {} | {} | {} |",
        instrument.name,
        instrument.prometheus_name(),
        instrument.kind.name(),
        if instrument.unit.is_empty() { "" } else { instrument.unit },
        keys.join(", "),
        instrument.description,
    );
}

/// The attributes of an instrument, each key once, in order.
fn attributes(instrument: &Instrument) -> Vec<Attribute> {
    let mut found: Vec<Attribute> = Vec::new();
    for attribute in instrument.shapes.iter().copied().flatten() {
        if found.iter().all(|it| it.key != attribute.key) {
            found.push(*attribute);
        }
    }
    found
}
