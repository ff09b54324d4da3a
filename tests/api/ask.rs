//! Requests and checks that the tests of several modules share.

use futures_util::future::join_all;
use latchkey::captcha::altcha;
use latchkey::database::tenant_scope::{self, TenantScope};
use sea_orm::ConnectionTrait as _;
use serde_json::Value;

use crate::app::TestApp;
use crate::client::Answer;

/// Sends `count` requests at the same time.
pub async fn at_once<T>(count: usize, ask: impl AsyncFn(usize) -> T) -> Vec<T> {
    join_all((0..count).map(|turn| ask(turn))).await
}

/// Returns how many of these responses have this status.
pub fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// Fails the test unless one response is a 200 and every other response is this problem.
#[track_caller]
pub fn one_succeeds(answers: Vec<Answer>, status: u16, code: &str) -> Answer {
    assert_eq!(count(&answers, 200), 1, "{answers:#?}");
    let (good, others): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    for other in others {
        other.expect_problem(status, code);
    }
    good.into_iter().next().expect("there is one")
}

/// Returns `(pointer, code)` for each error of a 422, in the order of the response.
#[track_caller]
pub fn broken_rules(answer: &Answer) -> Vec<(String, String)> {
    answer.clone().expect_problem(422, "validation-failed");
    let body = answer.json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let errors = body["errors"].as_array().expect("a 422 has errors");
    errors
        .iter()
        .map(|error| {
            assert!(!text(&error["detail"]).is_empty());
            (text(&error["pointer"]), text(&error["code"]))
        })
        .collect()
}

/// Returns the parts of a response that must be equal for two users. These are all parts except the
/// ids and times of the request.
pub fn alike(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned()))
        .collect();
    let mut body = answer.text();
    if let Ok(Value::Object(mut members)) = serde_json::from_slice(&answer.body)
        && members.contains_key("traceId")
    {
        members.insert("traceId".to_owned(), Value::Null);
        body = Value::Object(members).to_string();
    }
    (answer.status, headers, body)
}

/// Gets a new captcha challenge and returns its solution.
pub async fn solved_captcha(app: &TestApp) -> String {
    solved_captcha_of(app, 1).await
}

/// Gets a new captcha challenge with this difficulty and returns its solution.
pub async fn solved_captcha_of(app: &TestApp, difficulty: u32) -> String {
    let path = format!("/api/captcha?difficulty={difficulty}");
    let challenge = app.anonymous().get(&path).await.expect(200).json();
    let solve = move || altcha::solve(&challenge).expect("every challenge has an answer");
    tokio::task::spawn_blocking(solve).await.expect("solving does not panic")
}

/// Runs a statement on the database of the daemon, for a change that no endpoint can make.
pub async fn sql(app: &TestApp, statement: &str) {
    let tx =
        tenant_scope::begin(&app.inside().db, TenantScope::Operator).await.expect("a transaction");
    tx.execute_unprepared(statement).await.expect("a valid statement");
    tx.commit().await.expect("committed");
}
