//! A test with a PostgreSQL that is read-only and refuses a new connection. Later the server
//! accepts writes again.

use latchkey::config;
use latchkey::database::{Db, Refusal};
use sea_orm::{ConnectionTrait as _, Database};

use crate::servers::TestDatabase;

/// The server refuses a new connection while another connection of the pool is in use. After the
/// server accepts connections again, no call may fail with the earlier error.
#[tokio::test]
async fn a_refusal_that_is_over_fails_no_call_while_a_connection_is_in_use_on_servers() {
    let database = TestDatabase::create().await;
    let operator = Database::connect(database.url()).await.expect("connected");
    let name = database.url().rsplit_once('/').expect("a database").1.to_owned();
    let set = async |value: &str| {
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
        operator.execute_unprepared(&sql).await.expect("set");
    };
    let url = database.url();
    let config = config::Database { max_connections: 2, ..config::Database::at(&url) };
    let db = Db::connect(&config).await.expect("connected");
    let in_use = db.begin_reading().await.expect("begun");
    set("on").await;
    let refused = db.ping().await.expect_err("a new connection is refused");
    assert_eq!(Refusal::of(&refused), Some(Refusal::ReadOnlyByDefault));
    set("off").await;
    db.ping().await.expect("a new connection");
    in_use.rollback().await.expect("rolled back");
    operator.close().await.expect("closed");
}
