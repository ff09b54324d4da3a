//! Tests of passkeys on the page of an invitation. The tests do what the script of the page does.

use serde_json::Value;

use super::authenticator::Draft;
use super::callers::{Holder, as_is, holder};
use crate::app::{TestApp, both};
use crate::pages::{page, post};
use crate::people::claim;

const ADA: &str = "ada@example.org";

/// A user with a passkey who is invited to a team.
struct Invited {
    holder: Holder,
    team: String,
    token: String,
}

/// The page that asks for the second factor.
struct Step {
    challenge: String,
    options: Value,
}

impl Invited {
    async fn new(app: &TestApp) -> Self {
        let holder = holder(app, ADA).await;
        let host = app.verified("host@example.org").await;
        let team = claim(&host, "tid");
        host.invited(&team, ADA, "member").await;
        let token = app.mail_to(ADA).await.token().to_owned();
        Self { holder, team, token }
    }

    /// Sends the right password.
    async fn step(&self, app: &TestApp) -> Step {
        let fields = [("token", &*self.token), ("password", &*self.holder.person.password)];
        Step::on(&page(&post(app, "invitation", &fields).await, 200))
    }

    /// Sends what the passkey returns for the page.
    async fn send(
        &self,
        app: &TestApp,
        step: &Step,
        change: impl FnOnce(&mut Draft),
        status: u16,
    ) -> String {
        let credential = self.holder.passkey.get(&step.options, change).to_string();
        self.send_text(app, step, &credential, status).await
    }

    async fn send_text(&self, app: &TestApp, step: &Step, text: &str, status: u16) -> String {
        let fields = [("token", &*self.token), ("challenge", &*step.challenge), ("passkey", text)];
        page(&post(app, "invitation", &fields).await, status)
    }

    async fn is_member(&self) -> bool {
        self.holder.person.as_user().get(&format!("/api/teams/{}", self.team)).await.status == 200
    }
}

impl Step {
    fn on(html: &str) -> Self {
        let value = |before: &str| {
            let (_, after) = html.split_once(before).unwrap_or_else(|| panic!("{before}: {html}"));
            after.split_once('"').expect("a value").0.replace("&#34;", "\"")
        };
        let options = serde_json::from_str(&value("data-passkey=\"")).expect("JSON");
        Self { challenge: value("name=\"challenge\" value=\""), options }
    }
}

both!(a_passkey_accepts_an_invitation_once, async |app| {
    let invited = Invited::new(app).await;
    let sessions = invited.holder.person.sessions().await.json();
    let step = invited.step(app).await;
    let allowed = &step.options["allowCredentials"];
    assert_eq!(allowed.as_array().map(Vec::len), Some(1), "{}", step.options);
    assert_eq!(step.options["userVerification"], "required");
    let joined = invited.send(app, &step, as_is, 200).await;
    assert!(joined.contains("You have joined the team"), "{joined}");
    assert!(invited.is_member().await);
    assert_eq!(invited.holder.person.sessions().await.json(), sessions, "no session was opened");
    invited.send(app, &step, as_is, 400).await;
});

both!(a_wrong_passkey_keeps_the_page_and_its_next_options_work, async |app| {
    let invited = Invited::new(app).await;
    let first = invited.step(app).await;
    let wrong = invited.send(app, &first, |it| it.says("origin", "https://evil.test"), 422).await;
    assert!(wrong.contains("The passkey was not accepted."), "{wrong}");
    let second = Step::on(&wrong);
    assert_eq!(second.challenge, first.challenge);
    assert_ne!(second.options["challenge"], first.options["challenge"]);
    let replayed = invited.send(app, &first, as_is, 422).await;
    assert!(replayed.contains("The passkey was not accepted."), "options work once: {replayed}");
    let third = Step::on(&replayed);
    let text = "[1, 2";
    let no_json = invited.send_text(app, &third, text, 422).await;
    assert!(no_json.contains("The passkey was not accepted.") && !no_json.contains(text));
    assert!(!invited.is_member().await);
    invited.send(app, &Step::on(&no_json), as_is, 200).await;
    assert!(invited.is_member().await);
});

both!(the_fifth_wrong_passkey_leads_back_to_the_password, async |app| {
    let invited = Invited::new(app).await;
    let mut step = invited.step(app).await;
    for _ in 0..4 {
        step = Step::on(&invited.send_text(app, &step, "{}", 422).await);
    }
    let fifth = invited.send_text(app, &step, "{}", 422).await;
    assert!(fifth.contains("The second factor was wrong too often."), "{fifth}");
    assert!(fifth.contains("name=\"password\"") && !fifth.contains("data-passkey"), "{fifth}");
    let ended = invited.send(app, &step, as_is, 422).await;
    assert!(ended.contains("Enter your password again."), "{ended}");
    assert!(!invited.is_member().await);
});

both!(a_recovery_code_takes_the_place_of_a_passkey, async |app| {
    let invited = Invited::new(app).await;
    let step = invited.step(app).await;
    let code = &*invited.holder.recovery_codes[0];
    let fields =
        [("token", &*invited.token), ("challenge", &*step.challenge), ("recoveryCode", code)];
    page(&post(app, "invitation", &fields).await, 200);
    assert!(invited.is_member().await);
});
