//! `/problems` and `/problems/{code}`: what each error means. The words come from the catalogue, `crate::problem`.

use askama::Template;

use crate::problem::Code;

use super::{Mailbox, html};

#[derive(Template)]
#[template(path = "problems.html")]
struct Index {
    codes: &'static [Code],
    mailbox: Mailbox,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Entry {
    code: Code,
    mailbox: Mailbox,
}

/// The index of every problem.
pub fn problems(mailbox: Mailbox) -> String {
    html(&Index { codes: Code::ALL, mailbox })
}

/// One problem: title, status, and what to do about it.
pub fn problem(code: Code, mailbox: Mailbox) -> String {
    html(&Entry { code, mailbox })
}
