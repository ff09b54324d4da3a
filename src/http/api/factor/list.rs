//! `GET /api/me/factors`: lists the factors of the caller.

use serde::Serialize;
use utoipa::ToSchema;

use super::FactorView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FactorList {
    /// The factors, the oldest first. A factor that waits for its confirmation is not listed.
    items: Vec<FactorView>,
    /// How many recovery codes can still be used.
    recovery_codes_left: u64,
    /// Always null, because an account has at most ten factors.
    #[schema(required = true)]
    next: Option<String>,
}

pub async fn handle(app: &App, _: &mut Request, caller: Principal) -> Result<Answer, Problem> {
    let factors = app.account().factors(caller.standing.id).await?;
    let items = factors.items.into_iter().map(FactorView::from).collect();
    let recovery_codes_left = factors.recovery_codes_left;
    Ok(answer::json(&FactorList { items, recovery_codes_left, next: None }))
}

pub fn operation() -> Operation {
    Operation::new("listFactors", Tag::Factor, "List your second factors")
        .bearer()
        .gives::<FactorList>("The factors, and the number of recovery codes.")
        .fails(&[Code::InvalidToken])
}
