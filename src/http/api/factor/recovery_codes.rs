//! `POST /api/me/recovery-codes`: replaces the recovery codes by new ones.

use serde::Serialize;
use utoipa::ToSchema;

use super::shown;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RecoveryCodes {
    /// Ten codes. Each one can be used once. Only this response shows them.
    recovery_codes: Vec<String>,
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let client = request.as_client();
    let codes = app.account().new_recovery_codes(&client, &caller).await?;
    Ok(answer::json(&RecoveryCodes { recovery_codes: shown(&codes) }))
}

pub fn operation() -> Operation {
    Operation::new("replaceRecoveryCodes", Tag::Factor, "Get new recovery codes")
        .describes(
            "The older recovery codes become invalid. An account without a factor gets a 409.",
        )
        .bearer()
        .gives::<RecoveryCodes>("Ten new recovery codes.")
        .fails(&[Code::InvalidToken, Code::StepUpRequired, Code::EmailUnverified, Code::Conflict])
}
