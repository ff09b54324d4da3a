//! Tests of logins with the password hashes of other systems.

use std::time::Duration;

use crate::app::both;
use crate::ask::sql;
use crate::poll::eventually;

/// Each line has a format, a password and its stored hash.
const KNOWN: &str = include_str!("../../src/password/foreign/known_hashes.tsv");

both!(each_spelling_of_another_system_logs_in_and_is_replaced, async |app| {
    let ada = app.verified("ada@example.org").await;
    for line in KNOWN.lines() {
        let [_, password, hash] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        sql(app, &format!("UPDATE users SET password_hash = '{hash}'")).await;
        let anonymous = app.anonymous();
        anonymous.login(&ada.email, "not the password").await.expect(401);
        anonymous.login(&ada.email, password).await.expect(200);
        let replaced = async || {
            let stored = crate::password::stored(app).await;
            stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$").then_some(())
        };
        eventually(hash, Duration::from_secs(5), replaced).await;
        anonymous.login(&ada.email, password).await.expect(200);
    }
});
