//! Tests of the pages that ask for the second factor after the password. The tests use the pages
//! like a browser without scripts.

use std::time::Duration;

use serde_json::json;
use totp_rs::{Builder, Secret};

use crate::app::{TestApp, both};
use crate::client::Person;
use crate::pages::{get, page, post};
use crate::people::{claim, people};

const WRONG: &str = "12345";

/// A user with an authenticator app, and an invitation that is mailed to this user.
struct Invited {
    bob: Person,
    team: String,
    token: String,
    secret: String,
    recovery_codes: Vec<String>,
}

impl Invited {
    async fn new(app: &TestApp) -> Self {
        let [ada, mut bob] = people(app, ["ada", "bob"]).await;
        bob.login().await.expect(200);
        let name = json!({ "name": "Phone" });
        let begun = bob.as_user().post_json("/api/me/factors/totp", name).await.expect(201).json();
        let text = |name: &str| begun[name].as_str().expect("a text").to_owned();
        let (id, secret) = (text("id"), text("secret"));
        let code = json!({ "code": code(app, &secret, 0) });
        let confirm = format!("/api/me/factors/{id}/confirm");
        let confirmed = bob.as_user().post_json(&confirm, code).await.expect(200);
        bob.keep(confirmed.tokens());
        let codes = confirmed.json()["recoveryCodes"].as_array().expect("a list").clone();
        let recovery_codes =
            codes.iter().map(|code| code.as_str().expect("a text").to_owned()).collect();
        app.mail_to(&bob.email).await;
        let team = claim(&ada, "tid");
        ada.invited(&team, &bob.email, "member").await;
        let token = app.mail_to(&bob.email).await.token().to_owned();
        Self { bob, team, token, secret, recovery_codes }
    }

    /// The next code of the app. The clock advances by one step, because a code works once.
    fn next_code(&self, app: &TestApp) -> String {
        app.clock.advance(Duration::from_secs(30));
        code(app, &self.secret, 0)
    }

    /// Sends the right password. Returns the challenge in the form for the code.
    async fn challenge(&self, app: &TestApp) -> String {
        let fields = [("token", &*self.token), ("password", &*self.bob.password)];
        let html = page(&post(app, "invitation", &fields).await, 200);
        assert!(html.contains("<h1>One more step</h1>"), "{html}");
        challenge_in(&html).to_owned()
    }

    async fn send(
        &self,
        app: &TestApp,
        challenge: &str,
        code: (&str, &str),
        status: u16,
    ) -> String {
        let fields = [("token", &*self.token), ("challenge", challenge), code];
        page(&post(app, "invitation", &fields).await, status)
    }

    /// Whether the user is a member of the team that invites.
    async fn is_member(&self) -> bool {
        self.bob.as_user().get(&format!("/api/teams/{}", self.team)).await.status == 200
    }
}

fn code(app: &TestApp, secret: &str, steps: i64) -> String {
    let secret = Secret::try_from_base32(secret).expect("base32");
    let seconds = app.clock.now() / 1000 + 30 * steps;
    let totp = Builder::new().with_secret(secret).build_noncompliant();
    totp.generate(u64::try_from(seconds).expect("after 1970")).to_string()
}

fn challenge_in(html: &str) -> &str {
    let (_, after) = html.split_once("name=\"challenge\" value=\"").expect("a challenge");
    after.split_once('"').expect("a value").0
}

both!(an_invitation_is_accepted_with_the_password_and_a_code, async |app| {
    let invited = Invited::new(app).await;
    let sessions = invited.bob.sessions().await.json();
    let fields = [("token", &*invited.token), ("password", "wrong")];
    let wrong = page(&post(app, "invitation", &fields).await, 422);
    assert!(wrong.contains("The password is wrong") && !wrong.contains("challenge"), "{wrong}");
    let challenge = invited.challenge(app).await;
    assert!(!invited.is_member().await, "the password alone is not enough");
    let refused = invited.send(app, &challenge, ("code", WRONG), 422).await;
    assert!(refused.contains("The code is wrong, or it was used before."), "{refused}");
    assert_eq!(challenge_in(&refused), challenge, "the form stays");
    let spaced: String = invited.next_code(app);
    let spaced = format!(" {} {} ", &spaced[..3], &spaced[3..]);
    let joined = invited.send(app, &challenge, ("code", &spaced), 200).await;
    assert!(joined.contains("You have joined the team"), "{joined}");
    assert!(invited.is_member().await);
    assert_eq!(invited.bob.sessions().await.json(), sessions, "no session was opened");
    page(&get(app, "invitation", &invited.token).await, 400);
});

both!(a_recovery_code_accepts_an_invitation_once, async |app| {
    let invited = Invited::new(app).await;
    let challenge = invited.challenge(app).await;
    let typed = invited.recovery_codes[0].to_lowercase().replace('-', " ");
    let wrong = invited.send(app, &challenge, ("recoveryCode", "AAAAA-AAAAA"), 422).await;
    assert!(wrong.contains("<details open>"), "the form of recovery codes stays open: {wrong}");
    invited.send(app, &challenge, ("recoveryCode", &typed), 200).await;
    assert!(invited.is_member().await);
    let left = invited.bob.as_user().get("/api/me/factors").await.expect(200).json();
    assert_eq!(left["recoveryCodesLeft"], 9);
});

both!(the_fifth_wrong_code_leads_back_to_the_password, async |app| {
    let invited = Invited::new(app).await;
    let challenge = invited.challenge(app).await;
    for _ in 0..4 {
        invited.send(app, &challenge, ("code", WRONG), 422).await;
    }
    let fifth = invited.send(app, &challenge, ("code", WRONG), 422).await;
    assert!(fifth.contains("The second factor was wrong too often."), "{fifth}");
    assert!(fifth.contains("name=\"password\"") && !fifth.contains("challenge"), "{fifth}");
    let code = invited.next_code(app);
    let ended = invited.send(app, &challenge, ("code", &code), 422).await;
    assert!(ended.contains("The time to use the second factor is over"), "{ended}");
    assert!(!invited.is_member().await);
    let challenge = invited.challenge(app).await;
    invited.send(app, &challenge, ("code", &code), 200).await;
});

both!(a_challenge_of_a_page_opens_no_session_and_ends_with_its_time, async |app| {
    let invited = Invited::new(app).await;
    let of_page = invited.challenge(app).await;
    let login = app.anonymous().login(&invited.bob.email, &invited.bob.password).await;
    let login = login.expect_problem(401, "factor-required").json();
    let of_login = login["challenge"].as_str().expect("a challenge");
    let code = invited.next_code(app);
    let body = json!({ "challenge": of_page, "method": "totp", "code": code });
    let refused = app.anonymous().post_json("/api/login/factor", body).await;
    refused.expect_problem(401, "challenge-invalid");
    let ended = invited.send(app, of_login, ("code", &code), 422).await;
    assert!(ended.contains("Enter your password again."), "{ended}");
    app.clock.advance(Duration::from_mins(5));
    let code = invited.next_code(app);
    let late = invited.send(app, &of_page, ("code", &code), 422).await;
    assert!(late.contains("The time to use the second factor is over"), "{late}");
    assert!(!invited.is_member().await);
});

both!(a_challenge_is_good_for_the_invitations_of_its_account_alone, async |app| {
    let invited = Invited::new(app).await;
    let challenge = invited.challenge(app).await;
    let eve = app.verified("eve@example.org").await;
    let ada = app.verified("ivy@example.org").await;
    ada.invited(&claim(&ada, "tid"), &eve.email, "member").await;
    let token = app.mail_to(&eve.email).await.token().to_owned();
    let code = invited.next_code(app);
    let fields = [("token", &*token), ("challenge", &*challenge), ("code", &*code)];
    let refused = page(&post(app, "invitation", &fields).await, 422);
    assert!(refused.contains("The time to use the second factor is over"), "{refused}");
    invited.send(app, &challenge, ("code", &code), 200).await;
});

both!(a_trusted_device_needs_no_code_for_an_invitation, async |app| {
    let invited = Invited::new(app).await;
    let login = app.anonymous().login(&invited.bob.email, &invited.bob.password).await;
    let login = login.expect_problem(401, "factor-required").json();
    let code = invited.next_code(app);
    let body = json!({
        "challenge": login["challenge"], "method": "totp", "code": code, "trustDevice": true,
    });
    let trusted = app.anonymous().post_json("/api/login/factor", body).await.expect(200);
    let device = trusted.header("x-latchkey-device").expect("a device");
    let client = app.anonymous().header("x-latchkey-device", device);
    let fields = [("token", &*invited.token), ("password", &*invited.bob.password)];
    page(&client.post_form("/invitation", &fields).await, 200);
    assert!(invited.is_member().await);
});

both!(a_wait_after_wrong_codes_keeps_the_form, ["rate_limit.enabled" = "true"], async |app| {
    let invited = Invited::new(app).await;
    for _ in 0..2 {
        let challenge = invited.challenge(app).await;
        for _ in 0..5 {
            invited.send(app, &challenge, ("code", WRONG), 422).await;
        }
    }
    let challenge = invited.challenge(app).await;
    // The code of the next time step is accepted now and after the wait.
    let code = code(app, &invited.secret, 1);
    let early = invited.send(app, &challenge, ("code", &code), 429).await;
    assert!(early.contains("There were too many attempts."), "{early}");
    assert_eq!(challenge_in(&early), challenge, "the form stays");
    assert!(!invited.is_member().await);
    app.clock.advance(Duration::from_secs(30));
    invited.send(app, &challenge, ("code", &code), 200).await;
});

both!(the_invitations_page_speaks_german, async |app| {
    let invited = Invited::new(app).await;
    let german = app.anonymous().header("accept-language", "de-AT,de;q=0.9,en;q=0.5");
    let shown = page(&german.get(&format!("/invitation?token={}", invited.token)).await, 200);
    assert!(shown.contains("<html lang=\"de\">") && shown.contains("Ihre Rolle wäre"), "{shown}");
    assert!(shown.contains("Mitglied") && shown.contains("Uhr (UTC)"), "{shown}");
    let fields = [("token", &*invited.token), ("password", &*invited.bob.password)];
    let asked = page(&german.post_form("/invitation", &fields).await, 200);
    assert!(asked.contains("<html lang=\"de\">") && asked.contains("Code Ihrer Authenticator-App"));
    let challenge = challenge_in(&asked);
    let fields = [("token", &*invited.token), ("challenge", challenge), ("code", WRONG)];
    let wrong = page(&german.post_form("/invitation", &fields).await, 422);
    assert!(wrong.contains("Der Code ist falsch"), "{wrong}");
    let code = invited.next_code(app);
    let fields = [("token", &*invited.token), ("challenge", challenge), ("code", &*code)];
    let joined = page(&german.post_form("/invitation", &fields).await, 200);
    assert!(joined.contains("Sie sind dem Team beigetreten"), "{joined}");
});
