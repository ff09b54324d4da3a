//! Lists, page by page: `?cursor=&limit=` in, `{"items": […], "next": …}` out.

use std::str::FromStr;

use uuid::Uuid;

use super::json::Object;
use super::request::Request;
use crate::problem::Problem;

/// A page has as many items, unless `limit` says otherwise.
const LIMIT_DEFAULT: u64 = 50;
/// And never more.
const LIMIT_MAX: u64 = 100;

/// Which page is asked for. A cursor is an id, or what else a list is in order by.
#[derive(Clone, Copy, Debug)]
pub struct Page<C = Uuid> {
    /// The place in the list after which the page begins; its default for the first page.
    pub after: C,
    limit: u64,
}

impl<C: FromStr + Default> Page<C> {
    /// `cursor` and `limit` of a list, or the rules that they break.
    pub fn of(request: &Request) -> Result<Self, Problem> {
        let mut broken = Object::default();
        let cursor = request.query("cursor")?.map_or(Ok(C::default()), |cursor| cursor.parse());
        let limit = request.query("limit")?.map_or(Ok(LIMIT_DEFAULT), |limit| limit.parse());
        if cursor.is_err() {
            broken.reject("cursor", "format", "`cursor` is `next` of the page before.");
        }
        if !limit.as_ref().is_ok_and(|limit| (1..=LIMIT_MAX).contains(limit)) {
            broken.reject("limit", "range", "`limit` is a number from 1 to 100.");
        }
        broken.finish()?;
        Ok(Self { after: cursor.unwrap_or_default(), limit: limit.unwrap_or(LIMIT_DEFAULT) })
    }

    /// How many rows to read: one more than the page has, to know whether it is the last.
    pub fn rows(&self) -> u64 {
        self.limit + 1
    }

    /// Cuts what was read to the page; the cursor of the next one, where there is one.
    pub fn cut<T, S: ToString>(
        &self,
        found: &mut Vec<T>,
        cursor: impl Fn(&T) -> S,
    ) -> Option<String> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        found.truncate(limit);
        found.last().filter(|_| has_more).map(|last| cursor(last).to_string())
    }
}
