//! Tests that a login attempt without a result does not count.

use std::time::Duration;

use crate::app::{TestApp, both};
use crate::ask::sql;
use crate::client::Client;
use crate::limits_attempts::{at, login};

/// Sends nine attempts. If they counted, the back-off would delay the seventh attempt. None of the
/// attempts gets a result.
async fn nobody_judges(app: &TestApp, source: &Client, email: &str, password: &str) {
    for _ in 0..9 {
        let answer = login(source, email, password).await;
        answer.expect_problem(503, "dependency-unavailable");
        app.clock.advance(Duration::from_millis(100));
    }
}

both!(
    an_attempt_whose_account_cannot_be_read_does_not_count,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let source = at(app, "203.0.113.7");
        // The database behaves as if it were down. The store with the counts of attempts is up.
        sql(app, "ALTER TABLE users RENAME COLUMN password_hash TO away").await;
        nobody_judges(app, &source, &person.email, &person.password).await;
        sql(app, "ALTER TABLE users RENAME COLUMN away TO password_hash").await;
        login(&source, &person.email, &person.password).await.expect(200);
    }
);
