//! The imports between modules of `src/`: every path that begins with `crate::` or `super::`, in
//! `use` and in the code.

use std::collections::BTreeSet;

use super::source::{Source, code, sources};

/// The path of a module in the crate. For `session::check` it is `["session", "check"]`.
pub type Module = Vec<String>;

/// One import, and the line that contains it.
#[derive(Clone, Debug)]
pub struct Import {
    pub from: Module,
    pub to: Module,
    /// The file and the line number, such as `src/session/check.rs:12`.
    pub line: String,
}

/// Returns every import of one module by another, except the imports of unit tests.
pub fn imports() -> Vec<Import> {
    let files: Vec<(Module, Source)> =
        sources(&["src"]).into_iter().map(|file| (module(&file.path), file)).collect();
    let modules: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    let code = files.iter().filter(|(module, _)| !is_test(module));
    code.flat_map(|(module, file)| imports_of(module, file, &modules)).collect()
}

fn imports_of(from: &Module, file: &Source, modules: &BTreeSet<Module>) -> Vec<Import> {
    let production = &file.text[..file.text.len() - file.tests().len()];
    let mut found = Vec::new();
    for (line, path) in paths(production) {
        let Some(to) = resolve(from, &path, modules).filter(|to| to != from) else { continue };
        let line = format!("{}:{line}", file.path);
        found.push(Import { from: from.clone(), to, line });
    }
    found
}

/// Returns the module of a file. `src/session/check.rs` is the module `session::check`. A `mod.rs`
/// is the module of its folder.
fn module(path: &str) -> Module {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Module = path.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

fn is_test(module: &Module) -> bool {
    module.iter().any(|part| part == "tests")
        || module.last().is_some_and(|last| last.ends_with("_tests"))
}

/// Returns every path in a text that begins with `crate` or `super`, with its line number. A path
/// with braces becomes one path for each name in the braces.
fn paths(text: &str) -> Vec<(usize, String)> {
    let text: String = text.lines().flat_map(|line| [code(line), "\n"]).collect();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::").chain(text.match_indices("super::")) {
        // A match inside a longer path, such as the second `super` of `super::super::x`, is
        // skipped. The first match has already found that path.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let line = text[..at].matches('\n').count() + 1;
        expand("", &text[at..], &mut |path| found.push((line, path)));
    }
    found
}

/// Reads one path at the start of a text, such as `a::{b, c::{d, e}}`, and calls `each` with each
/// path that the braces stand for. Returns the text after the path.
fn expand<'a>(prefix: &str, text: &'a str, each: &mut dyn FnMut(String)) -> &'a str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let (path, mut rest) = text.split_at(end.unwrap_or(text.len()));
    let path = format!("{prefix}{path}");
    if !(path.ends_with("::") && rest.starts_with('{')) {
        each(path);
        return rest;
    }
    loop {
        rest = rest[1..].trim_start();
        if !rest.starts_with('}') {
            rest = expand(&path, rest, each);
        }
        // Between a path and the next comma there is `as other` or nothing.
        match rest.find([',', '}']) {
            Some(at) if rest.as_bytes()[at] == b',' => rest = &rest[at..],
            Some(at) => return &rest[at + 1..],
            None => return "",
        }
    }
}

/// Returns the module that a path refers to.
fn resolve(from: &Module, path: &str, modules: &BTreeSet<Module>) -> Option<Module> {
    let mut parts: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
    let mut base: Module = match parts.first().copied() {
        Some("crate") => Module::new(),
        _ => from.clone(),
    };
    while parts.first().is_some_and(|part| ["crate", "super"].contains(part)) {
        if parts.remove(0) == "super" {
            base.pop();
        }
    }
    let full: Module = base.into_iter().chain(parts.into_iter().map(str::to_owned)).collect();
    let longest = (1..=full.len()).rev().find(|length| modules.contains(&full[..*length]))?;
    Some(full[..longest].to_vec())
}

#[test]
fn paths_are_found_in_uses_and_in_the_code_with_their_lines() {
    let text = "use crate::a::{self, b::{C, d}, e as f};\n// use crate::comment;\nfn g() { super::h::i() }\n";
    let found: Vec<String> =
        paths(text).into_iter().map(|(line, path)| format!("{line} {path}")).collect();
    assert_eq!(
        found,
        [
            "1 crate::a::self",
            "1 crate::a::b::C",
            "1 crate::a::b::d",
            "1 crate::a::e",
            "3 super::h::i"
        ]
    );
}

#[test]
fn a_path_leads_into_the_longest_module_of_its_name() {
    let modules: BTreeSet<Module> =
        ["a", "a/b", "c"].iter().map(|path| module(&format!("src/{path}.rs"))).collect();
    let into = |from: &str, path: &str| {
        resolve(&module(&format!("src/{from}.rs")), path, &modules).map(|to| to.join("::"))
    };
    assert_eq!(into("c", "crate::a::b::Thing").as_deref(), Some("a::b"));
    assert_eq!(into("a/b", "super::Thing").as_deref(), Some("a"));
    assert_eq!(into("a/b", "super::super::c::f").as_deref(), Some("c"));
    assert_eq!(into("c", "crate::gone::f"), None);
}
