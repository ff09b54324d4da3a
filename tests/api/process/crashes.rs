//! Tests that end a daemon with `kill -9`. Acknowledged changes and their mails must survive the
//! kill.

use std::sync::Mutex;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use latchkey::clock::Clock;
use serde_json::json;

use super::{PATIENCE, Place};
use crate::app::{Backend, TestApp};
use crate::client::Person;
use crate::poll::eventually;
use crate::servers::rounds;
use crate::smtp::{Fault, SmtpSink, Stage};

const PASSWORD: &str = "nine lives of a cat";

/// Starts a daemon in this process on the data of the killed daemon. Its clock is two minutes
/// ahead, so that the killed daemon's claims on mails have expired.
async fn later(place: &Place, smtp_url: &str) -> TestApp {
    let clock = Clock::manual(Clock::System.now() + 120_000);
    let data = place.path("data").display().to_string();
    let mut builder = TestApp::builder(Backend::Embedded).set("data_dir", &data).clock(clock);
    if !smtp_url.is_empty() {
        builder = builder.set("mail.smtp_url", smtp_url);
    }
    builder.start().await
}

/// Registers an account, kills the daemon before it sends the mail, and starts a daemon again. The
/// mail must arrive exactly once.
async fn the_mail_comes_exactly_once(sink: &SmtpSink, place: &mut Place, address: &str) {
    let mut running = place.start().await;
    Person::register(&running.client, address).await;
    running.daemon.kill();
    assert!(sink.mails().is_empty());
    sink.heal();
    sink.up().await;
    let app = later(place, &sink.url()).await;
    let to = || sink.mails().into_iter().filter(|mail| mail.to == address).count();
    eventually("the mail", PATIENCE, async || (to() > 0).then_some(())).await;
    let mail = sink.mails().into_iter().find(|mail| mail.to == address).expect("it came");
    app.anonymous().verify(mail.token()).await.expect(200);
    app.finish().await;
    assert_eq!(to(), 1);
    place.start().await.stop().await;
    assert_eq!(to(), 1, "nor does another start send it again");
}

#[tokio::test]
async fn a_mail_that_could_not_leave_before_a_kill_leaves_after_it_embedded() {
    let sink = SmtpSink::start().await;
    let mut place =
        Place::new().set("mail.smtp_url", &sink.url()).set("mail.from", "auth@latchkey.test");
    sink.down().await;
    Box::pin(the_mail_comes_exactly_once(&sink, &mut place, "ada@down.example")).await;
}

#[tokio::test]
async fn a_mail_that_was_on_its_way_at_a_kill_is_sent_again_embedded() {
    let sink = SmtpSink::start().await;
    let mut place =
        Place::new().set("mail.smtp_url", &sink.url()).set("mail.from", "auth@latchkey.test");
    sink.fail_at(Stage::Data, Fault::Stall);
    let mut running = place.start().await;
    Person::register(&running.client, "ada@way.example").await;
    eventually("a delivery", PATIENCE, async || (sink.connections() > 0).then_some(())).await;
    running.daemon.kill();
    sink.down().await;
    Box::pin(the_mail_comes_exactly_once(&sink, &mut place, "eve@way.example")).await;
    // The killed daemon had claimed another mail. That mail must also arrive exactly once.
    let to = sink.mails().iter().filter(|mail| mail.to == "ada@way.example").count();
    assert_eq!(to, 1);
}

/// The number of simultaneous registrations in one round.
const CALLERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_account_is_lost_by_kills_embedded() {
    let mut place = Place::new();
    let acknowledged: Mutex<Vec<String>> = Mutex::default();
    let all = || acknowledged.lock().expect("no panic before").clone();
    for round in 0..rounds(10, 100) {
        let mut running = place.start().await;
        let http = HyperClient::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
        let register = async |caller: usize, n: usize| {
            let email = format!("r{round}-{caller}-{n}@kill.example");
            let body = json!({ "email": email, "password": PASSWORD, "name": "A" }).to_string();
            let request = hyper::Request::post(format!("http://{}/api/register", running.public))
                .header("Content-Type", "application/json")
                .body(Full::new(body.into()))
                .expect("a request");
            // If there is no response, the result is unknown.
            let status = http.request(request).await.ok()?.status().as_u16();
            (status == 200).then_some(email)
        };
        let goes_on = async |caller: usize| {
            for n in 0.. {
                let Some(email) = register(caller, n).await else { return };
                acknowledged.lock().expect("no panic before").push(email);
            }
        };
        let callers: FuturesUnordered<_> = (0..CALLERS).map(&goes_on).collect();
        let enough = all().len() + 1 + usize::try_from(round % 10).expect("small");
        let killed = async {
            eventually("registrations", PATIENCE, async || (all().len() >= enough).then_some(()))
                .await;
            running.daemon.signal("-KILL");
            running.daemon.end(PATIENCE).await;
        };
        // A client that still waits when the process ends gets no response, and does not always
        // notice that the process has ended.
        let calls = async {
            callers.collect::<Vec<()>>().await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = killed => {}
            () = calls => {}
        }
    }
    let app = later(&place, "").await;
    for email in all() {
        let session = app.anonymous().login(&email, PASSWORD).await.tokens();
        app.anonymous().bearer(&session.user).get("/api/me").await.expect(200);
        let mail = app.mail_to(&email).await;
        app.anonymous().verify(mail.token()).await.expect(200);
    }
    app.finish().await;
}
