//! Tests of the mails that a client with accounts can cause to other users, and of what the client
//! can learn from the responses.

use std::time::Duration;

use hyper::Method;
use serde_json::json;

use crate::app::{TestApp, both};
use crate::ask::solved_captcha;
use crate::client::{Answer, Client, Person, encoded};
use crate::limits_attempts::{DEVICE, at, client_ip, device, retry_after};

const PASSWORD: &str = "correct horse battery";

async fn register(client: &Client, email: &str) -> Answer {
    let body = json!({ "email": email, "password": PASSWORD, "name": "Ada" });
    client.post_json("/api/register", body).await
}

/// Registers an account from the n-th IP address.
async fn account(app: &TestApp, n: usize) -> Person {
    let person = Person::register(&at(app, &client_ip(n)), &format!("eve{n}@example.org")).await;
    app.mail_to(&person.email).await;
    person
}

async fn change(client: &Client, person: &Person, email: &str) -> Answer {
    let body = json!({ "password": person.password, "email": email });
    client.bearer(&person.user_token).post_json("/api/change-email", body).await
}

/// Registers an account with this client, and deletes the account again.
async fn passes_by(client: &Client, email: &str) -> Answer {
    let answer = register(client, email).await;
    if answer.status == 200 {
        let user = client.bearer(&answer.tokens().user);
        user.json(Method::DELETE, "/api/me", json!({ "password": PASSWORD })).await.expect(204);
    }
    answer
}

both!(
    an_account_asks_for_three_changes_of_address_an_hour_whatever_device_asks,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        for (n, shows) in [(1, false), (2, true)] {
            let mut person = account(app, n).await;
            let known = device(app, &person, &client_ip(n)).await;
            let client = |turn: usize| {
                let client = at(app, &client_ip(n * 1_000 + turn));
                if shows { client.header(DEVICE, &known) } else { client }
            };
            // Each change uses a new email address and a new IP address, so that the limits of
            // these addresses do not refuse it.
            for turn in 0..3 {
                let email = format!("new{n}-{turn}@example.com");
                change(&client(turn), &person, &email).await.expect(200);
                app.mail_to(&email).await;
            }
            let refused = change(&client(3), &person, "new3@example.com").await;
            assert_eq!(retry_after(&refused), 1_200);
            let taken = change(&client(4), &person, &person.email).await;
            taken.expect_problem(429, "rate-limited");
            app.no_mail_to("new3@example.com").await;
            app.clock.advance(Duration::from_mins(20));
            person.refresh().await.expect(200);
            change(&client(5), &person, &person.email).await.expect_problem(409, "email-taken");
        }
    }
);

both!(
    a_change_of_address_tells_of_accounts_no_faster_than_exist_email_does,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let mut people = Vec::new();
        for n in 0..9 {
            let person = account(app, n).await;
            let known = device(app, &person, &client_ip(n)).await;
            people.push((person, known));
        }
        let here = at(app, "203.0.113.7");
        let victim = people[0].0.email.clone();
        let ask = async |turn: usize| {
            let (person, known) = &people[turn / 3];
            change(&here.header(DEVICE, known), person, &victim).await
        };
        for turn in 0..10 {
            ask(turn).await.expect_problem(409, "email-taken");
        }
        let refused = ask(10).await;
        assert_eq!(refused.header("ratelimit-policy"), Some("\"exist-email\";q=10;w=60"));
        assert_eq!(retry_after(&refused), 6);
        let exists = here.get(&format!("/api/exist-email/{}", encoded(&victim))).await;
        exists.expect_problem(429, "rate-limited");
        // Now the limit for repeated mails applies. It allows 20 requests at once, and the refused
        // request was one of them.
        app.clock.advance(Duration::from_mins(1));
        for turn in 11..20 {
            ask(turn).await.expect_problem(409, "email-taken");
        }
        let refused = ask(20).await;
        assert_eq!(refused.header("ratelimit-policy"), Some("\"resend\";q=20;w=3600"));
        refused.expect_problem(429, "rate-limited");
    }
);

both!(
    who_registers_and_deletes_again_mails_a_mailbox_three_times_an_hour,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let (here, victim) = (at(app, "203.0.113.7"), "ada@example.org");
        for _ in 0..3 {
            passes_by(&here, victim).await.expect(200);
        }
        let refused = passes_by(&here, victim).await;
        let wait = retry_after(&refused);
        assert!(refused.json().get("userToken").is_none());
        // No account was created, and a client with another IP address gets the same result.
        for n in 0..12 {
            retry_after(&passes_by(&at(app, &client_ip(n)), victim).await);
        }
        let path = format!("/api/exist-email/{}", encoded(victim));
        assert_eq!(at(app, "203.0.113.8").get(&path).await.json(), false);
        assert!(app.mails_to(victim).await.len() <= 3);
        assert!((1..=1_200).contains(&wait), "{wait}");
        app.clock.advance(Duration::from_secs(wait));
        register(&here, victim).await.expect(200);
        app.mail_to(victim).await;
        // Each other recipient's address has its own budget.
        register(&here, "bob@example.org").await.expect(200);
        app.mail_to("bob@example.org").await;
    }
);

both!(
    an_address_that_is_taken_spends_nothing_of_its_mailbox,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = account(app, 1).await;
        for n in 2..8 {
            let again = register(&at(app, &client_ip(n)), &person.email).await;
            again.expect_problem(409, "email-taken");
        }
        let captcha = encoded(&solved_captcha(app).await);
        let path = format!("/api/resend-email-verification?captcha={captcha}");
        person.as_user().get(&path).await.expect(200);
        app.mail_to(&person.email).await;
    }
);

both!(
    captchas_bring_a_mailbox_to_ten_mails_an_hour_and_no_further,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = account(app, 1).await;
        let ask = async |n: usize| {
            let captcha = solved_captcha(app).await;
            let body = json!({ "email": person.email, "captcha": captcha });
            at(app, &client_ip(100 + n)).post_json("/api/forgot-password", body).await.expect(200)
        };
        for n in 0..10 {
            ask(n).await;
            app.mail_to(&person.email).await;
        }
        for n in 10..13 {
            ask(n).await;
        }
        app.no_mail_to(&person.email).await;
    }
);

both!(
    links_of_invitations_are_tried_twenty_times_a_minute_on_the_page_too,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let here = at(app, "203.0.113.7");
        let form = [("token", "x"), ("password", "y")];
        for _ in 0..20 {
            here.post_form("/invitation", &form).await.expect(400);
        }
        let refused = here.post_form("/invitation", &form).await.expect(429);
        assert_eq!(refused.header("ratelimit-policy"), Some("\"verify\";q=20;w=60"));
    }
);
