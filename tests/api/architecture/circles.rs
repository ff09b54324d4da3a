//! The check for circular imports among the files of `src/`. A parent module and its children count
//! as one file, because people read them together.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::{Module, imports};

/// The maximum number of files in one circle of imports.
const CIRCLE_FILES_MAX: usize = 7;

type Graph = BTreeMap<Module, BTreeSet<Module>>;

#[test]
fn no_circle_of_imports_is_larger_than_a_few_files() {
    let mut graph = Graph::new();
    for import in imports() {
        let related = import.to.starts_with(&import.from) || import.from.starts_with(&import.to);
        if !related && !import.from.is_empty() && !import.to.is_empty() {
            graph.entry(import.from).or_default().insert(import.to);
        }
    }
    let largest = circles(&graph).into_iter().max_by_key(BTreeSet::len).unwrap_or_default();
    let names: Vec<String> = largest.iter().map(|module| module.join("::")).collect();
    assert!(
        largest.len() <= CIRCLE_FILES_MAX,
        "{} files import each other: {}",
        names.len(),
        names.join(", ")
    );
}

/// Returns the sets of modules that import each other, directly or indirectly.
fn circles(graph: &Graph) -> Vec<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        graph.keys().map(|module| (module, reachable(graph, module))).collect();
    let mut found: Vec<BTreeSet<Module>> = Vec::new();
    for (module, targets) in &reached {
        if found.iter().any(|circle| circle.contains(*module)) {
            continue;
        }
        let back =
            |other: &&&Module| reached.get(**other).is_some_and(|them| them.contains(module));
        let mut circle: BTreeSet<Module> =
            targets.iter().filter(back).map(|it| (*it).clone()).collect();
        circle.insert((*module).clone());
        if circle.len() > 1 {
            found.push(circle);
        }
    }
    found
}

fn reachable<'a>(graph: &'a Graph, start: &Module) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&Module> = graph.get(start).into_iter().flatten().collect();
    while let Some(module) = left.pop() {
        if reached.insert(module) {
            left.extend(graph.get(module).into_iter().flatten());
        }
    }
    reached
}

#[test]
fn a_circle_is_found_and_a_chain_is_none() {
    let module = |name: &str| vec![name.to_owned()];
    let edge = |from: &str, to: &str| (module(from), BTreeSet::from([module(to)]));
    let chain = Graph::from([edge("a", "b"), edge("b", "c")]);
    assert!(circles(&chain).is_empty());
    let circle = Graph::from([edge("a", "b"), edge("b", "c"), edge("c", "a"), edge("d", "a")]);
    assert_eq!(circles(&circle), [BTreeSet::from([module("a"), module("b"), module("c")])]);
}
