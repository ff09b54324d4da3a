//! Lists that are sent in pages. The request has `?cursor=&limit=`, and the response has `{"items":
//! […], "next": …}`.

use std::str::FromStr;

use uuid::Uuid;

use super::json::Object;
use super::request::Request;
use crate::problem::Problem;

/// The number of items on a page if the request has no `limit`.
const LIMIT_DEFAULT: u64 = 50;
/// The maximum value of `limit`.
const LIMIT_MAX: u64 = 100;

/// The requested page. A cursor is an id, or another value that the list is sorted by.
#[derive(Clone, Copy, Debug)]
pub struct Page<C = Uuid> {
    /// The page begins after this position in the list. The default value requests the first page.
    pub after: C,
    limit: u64,
}

impl<C: FromStr + Default> Page<C> {
    /// Reads `cursor` and `limit` of a list, or returns the rules that they break.
    pub fn of(request: &Request) -> Result<Self, Problem> {
        let mut broken = Object::default();
        let cursor = request.query("cursor")?.map_or(Ok(C::default()), |cursor| cursor.parse());
        let limit = request.query("limit")?.map_or(Ok(LIMIT_DEFAULT), |limit| limit.parse());
        if cursor.is_err() {
            broken.reject(
                "cursor",
                "format",
                "`cursor` must be the value of `next` from the previous page.",
            );
        }
        if !limit.as_ref().is_ok_and(|limit| (1..=LIMIT_MAX).contains(limit)) {
            broken.reject("limit", "range", "`limit` must be a number from 1 to 100.");
        }
        broken.finish()?;
        Ok(Self { after: cursor.unwrap_or_default(), limit: limit.unwrap_or(LIMIT_DEFAULT) })
    }

    /// The number of rows to read. It is one more than the page shows. If this additional row
    /// exists, there is a next page.
    pub fn rows(&self) -> u64 {
        self.limit + 1
    }

    /// Cuts the rows to the page. Returns the cursor of the next page if there is one.
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
