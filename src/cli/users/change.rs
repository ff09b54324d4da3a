//! `latchkey users disable`, `enable`, `revoke-sessions` and `reset-factors`.

use std::error::Error;
use std::process::ExitCode;

use serde_json::json;
use uuid::Uuid;

use super::super::open::Opened;
use super::super::output::{Talk, print_json, say_line};
use crate::account::operator::{self, Who};
use crate::admission::forget_codes;
use crate::audit::Changed;
use crate::exit::FAILED;
use crate::user::UserState;

pub(super) async fn status(
    who: &Who,
    status: UserState,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let changed = operator::set_state(&opened.change(), who, status).await?;
    let word = match status {
        UserState::Active => "enabled",
        UserState::Disabled => "disabled",
    };
    if let (Changed::Now(id), UserState::Disabled) = (changed, status) {
        forget_sessions(opened, id).await;
    }
    Ok(report(changed, word, json, talk))
}

pub(super) async fn revoke_sessions(
    who: &Who,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let changed = operator::end_sessions(&opened.change(), who).await?;
    if let Changed::Now(id) = changed {
        forget_sessions(opened, id).await;
    }
    Ok(report(changed, "logged out everywhere", json, talk))
}

/// Exits with 1 if there is no such account.
pub(super) async fn reset_factors(
    who: &Who,
    opened: &Opened,
    json: bool,
    talk: Talk,
) -> Result<ExitCode, Box<dyn Error>> {
    let (id, changed) = match operator::reset_factors(&opened.change(), who).await? {
        Changed::Gone => {
            talk.fail(super::NOBODY);
            return Ok(ExitCode::from(FAILED));
        }
        Changed::Now(id) => (id, true),
        Changed::Already(id) => (id, false),
    };
    if changed {
        forget_sessions(opened, id).await;
    }
    // Otherwise the codes of the next factor would have to wait for the wrong codes of this one.
    forget_codes(&opened.store, &opened.limit_keys, id).await?;
    if json {
        return Ok(print_json(talk, &json!({ "id": id, "changed": changed })));
    }
    say_line(&if changed {
        format!("{id} has no second factor any more, and is logged out everywhere")
    } else {
        format!("{id} has no second factor (no change)")
    });
    Ok(ExitCode::SUCCESS)
}

/// Deletes the sessions from the token store. The sessions are already invalid, because the epoch
/// of the account has changed. So a failure leaves only entries that expire later.
async fn forget_sessions(opened: &Opened, id: Uuid) {
    if opened.store.end_sessions(id, None).await.is_err() {
        say_line(
            "the token store is down: it keeps the sessions until they expire, but they are \
             already invalid",
        );
    }
}

fn report(changed: Changed, word: &str, json: bool, talk: Talk) -> ExitCode {
    let (id, now) = match changed {
        Changed::Gone => return super::nobody(talk),
        Changed::Now(id) => (id, true),
        Changed::Already(id) => (id, false),
    };
    if json {
        return print_json(talk, &json!({ "id": id, "changed": now }));
    }
    let was = if now { "" } else { " (no change)" };
    say_line(&format!("{id} {word}{was}"));
    ExitCode::SUCCESS
}
