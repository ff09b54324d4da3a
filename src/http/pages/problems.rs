//! `/problems` and `/problems/{code}`: what each error means. The words come from the catalogue, `crate::problem`.

use askama::Template;

use crate::problem::Code;

use super::html;

#[derive(Template)]
#[template(path = "problems.html")]
struct Index {
    codes: &'static [Code],
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Entry {
    code: Code,
}

/// The index of every problem.
pub fn problems() -> String {
    html(&Index { codes: Code::ALL })
}

/// One problem: title, status, and what to do about it.
pub fn problem(code: Code) -> String {
    html(&Entry { code })
}
