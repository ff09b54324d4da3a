//! `/problems` and `/problems/{code}`: the meaning of each error. The texts come from the catalogue
//! in `crate::problem`.

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

/// The index of all problems.
pub fn problems(mailbox: Mailbox) -> String {
    html(&Index { codes: Code::ALL, mailbox })
}

/// The page of one problem: its title, its status, and what to do about it.
pub fn problem(code: Code, mailbox: Mailbox) -> String {
    html(&Entry { code, mailbox })
}
