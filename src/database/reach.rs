//! Why a PostgreSQL cannot be reached. The pool tries again until its time is up and then says that alone; one connection
//! of our own says what the operator has to know: no such host, refused, another password, no such database.

use std::str::FromStr as _;
use std::time::Duration;

use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::{DbErr, RuntimeErr};

/// Who does not even answer within this time is behind a firewall, or stands still.
const WITHIN: Duration = Duration::from_secs(1);

/// `error` of the pool, in better words where there are some.
pub(super) async fn why(url: &str, error: DbErr) -> DbErr {
    let Ok(options) = PgConnectOptions::from_str(url) else { return error };
    let words = match tokio::time::timeout(WITHIN, options.connect()).await {
        // It is back.
        Ok(Ok(_)) => return error,
        Ok(Err(cause)) => cause.to_string(),
        Err(_) => format!("no answer within {} s", WITHIN.as_secs()),
    };
    DbErr::Conn(RuntimeErr::Internal(words))
}
