//! Every use case that writes. For each one, this file names the [`Fact`] that must be true after
//! the daemon has acknowledged the request.

use hyper::Method;
use latchkey::clock::Clock;
use serde_json::{Value, json};

use super::facts::Fact;
use super::{Fault, Stage};
use crate::client::{Answer, Person};
use crate::factor_lifecycle::add_totp;
use crate::mime::Mail;
use crate::people::{claim, id_of};
use crate::poll::eventually;
use crate::process::PATIENCE;

const PASSWORD: &str = "nine lives of a cat";

/// A use case of the API that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UseCase {
    Register,
    Resend,
    Verify,
    Login,
    Refresh,
    Logout,
    EndSession,
    EndOtherSessions,
    ChangePassword,
    Forgot,
    Reset,
    Rename,
    ChangeEmail,
    ConfirmEmail,
    UndoEmail,
    UndoFactor,
    DeleteAccount,
    RefuseAccount,
    CreateTeam,
    UpdateTeam,
    DeleteTeam,
    CreateProject,
    DeleteProject,
    CreateKey,
    RevokeKey,
    Invite,
    RevokeInvitation,
    AcceptInvitation,
    ChangeRole,
    RemoveMember,
    Switch,
    RevokeToken,
}

impl UseCase {
    pub(super) const ALL: [Self; 32] = [
        Self::Register,
        Self::Resend,
        Self::Verify,
        Self::Login,
        Self::Refresh,
        Self::Logout,
        Self::EndSession,
        Self::EndOtherSessions,
        Self::ChangePassword,
        Self::Forgot,
        Self::Reset,
        Self::Rename,
        Self::ChangeEmail,
        Self::ConfirmEmail,
        Self::UndoEmail,
        Self::UndoFactor,
        Self::DeleteAccount,
        Self::RefuseAccount,
        Self::CreateTeam,
        Self::UpdateTeam,
        Self::DeleteTeam,
        Self::CreateProject,
        Self::DeleteProject,
        Self::CreateKey,
        Self::RevokeKey,
        Self::Invite,
        Self::RevokeInvitation,
        Self::AcceptInvitation,
        Self::ChangeRole,
        Self::RemoveMember,
        Self::Switch,
        Self::RevokeToken,
    ];

    /// Prepares the use case without a fault, and then sends its request with the fault. Returns
    /// the response, and the fact that must be true after an acknowledgement.
    pub(super) async fn attempt(self, stage: &Stage<'_, impl Fault>) -> (Answer, Fact) {
        match self {
            Self::Register
            | Self::Resend
            | Self::Verify
            | Self::Login
            | Self::Refresh
            | Self::Logout
            | Self::EndSession
            | Self::EndOtherSessions
            | Self::ChangePassword
            | Self::Forgot
            | Self::Reset => self.of_a_session(stage).await,
            Self::Rename
            | Self::ChangeEmail
            | Self::ConfirmEmail
            | Self::UndoEmail
            | Self::UndoFactor
            | Self::DeleteAccount
            | Self::RefuseAccount => self.of_an_account(stage).await,
            Self::CreateTeam
            | Self::UpdateTeam
            | Self::DeleteTeam
            | Self::CreateProject
            | Self::DeleteProject
            | Self::CreateKey
            | Self::RevokeKey => self.of_a_team(stage).await,
            Self::Invite
            | Self::RevokeInvitation
            | Self::AcceptInvitation
            | Self::ChangeRole
            | Self::RemoveMember
            | Self::Switch
            | Self::RevokeToken => self.of_members(stage).await,
        }
    }

    /// Panics. The function of each group calls it for a use case of another group, which `attempt`
    /// never passes to the wrong function.
    fn belongs_elsewhere(self) -> ! {
        panic!("{self:?} is another group's")
    }

    async fn of_a_session(self, stage: &Stage<'_, impl Fault>) -> (Answer, Fact) {
        let anonymous = stage.running.anonymous();
        if self == Self::Register {
            let email = stage.address("new");
            let answer = stage.act(anonymous.register(&email, PASSWORD, "Ada")).await;
            return (answer, Fact::LogsIn(email, PASSWORD.to_owned()));
        }
        let mut ada = stage.unverified("ada").await;
        let (email, old) = (ada.email.clone(), ada.user_token.clone());
        match self {
            Self::Resend => {
                let answer = stage.act(stage.resend(&ada)).await;
                (answer, Fact::Mailed(email, "confirm", 2))
            }
            Self::Verify => {
                let mail = stage.mail(&email, "confirm").await;
                let answer = stage.act(anonymous.verify(mail.token())).await;
                (answer, ada.me_has("/emailVerified", true.into()))
            }
            Self::Login => {
                let answer = stage.act(ada.login()).await;
                (answer, Fact::Alive(ada.user_token))
            }
            Self::Refresh => {
                let answer = stage.act(ada.refresh()).await;
                (answer, Fact::Alive(ada.user_token))
            }
            Self::Logout => (stage.act(ada.logout()).await, Fact::Ended(old)),
            Self::EndSession => {
                let other = ada.another_device().await;
                let path = format!("/api/sessions/{}", other.sid);
                (stage.act(ada.as_user().delete(&path)).await, Fact::Ended(other.user_token))
            }
            Self::EndOtherSessions => {
                let other = ada.another_device().await;
                let answer = stage.act(ada.as_user().delete("/api/sessions")).await;
                (answer, Fact::Ended(other.user_token))
            }
            Self::ChangePassword => {
                let answer = stage.act(ada.change_password(PASSWORD)).await;
                (answer, Fact::LogsIn(email, PASSWORD.to_owned()))
            }
            Self::Forgot => {
                let answer = stage.act(anonymous.forgot(&email)).await;
                (answer, Fact::Mailed(email, "recover", 1))
            }
            Self::Reset => {
                anonymous.forgot(&email).await.expect(200);
                let mail = stage.mail(&email, "recover").await;
                let answer = stage.act(anonymous.reset(mail.token(), PASSWORD)).await;
                (answer, Fact::LogsIn(email, PASSWORD.to_owned()))
            }
            other => other.belongs_elsewhere(),
        }
    }

    async fn of_an_account(self, stage: &Stage<'_, impl Fault>) -> (Answer, Fact) {
        let anonymous = stage.running.anonymous();
        if self == Self::RefuseAccount {
            let ada = stage.unverified("ada").await;
            let mail = stage.mail(&ada.email, "confirm").await;
            let form = [("token", mail.token()), ("action", "reject")];
            let answer = stage.act(anonymous.post_form("/verify-email", &form)).await;
            return (answer, Fact::NoLogin(ada.email, ada.password));
        }
        let mut ada = stage.verified("ada").await;
        let new = stage.address("countess");
        match self {
            Self::Rename => {
                let body = json!({ "name": stage.tag });
                let answer = stage.act(ada.as_user().json(Method::PATCH, "/api/me", body)).await;
                (answer, ada.me_has("/name", stage.tag.as_str().into()))
            }
            Self::ChangeEmail => {
                let answer = stage.act(change_email(&ada, &new)).await;
                (answer, Fact::Mailed(new, "change-email", 1))
            }
            Self::ConfirmEmail => {
                change_email(&ada, &new).await.expect(200);
                let mail = stage.mail(&new, "change-email").await;
                let answer = stage.act(anonymous.verify(mail.token())).await;
                (answer, Fact::LogsIn(new, ada.password))
            }
            Self::UndoEmail => {
                change_email(&ada, &new).await.expect(200);
                let confirmation = stage.mail(&new, "change-email").await;
                anonymous.verify(confirmation.token()).await.expect(200);
                let notice = stage.mail(&ada.email, "email-change-notice").await;
                let form = [("token", notice.token())];
                let answer = stage.act(anonymous.post_form("/undo-email-change", &form)).await;
                (answer, Fact::LogsIn(ada.email, ada.password))
            }
            Self::UndoFactor => {
                add_totp(&mut ada, "Phone", Clock::System.now()).await;
                let mail = stage.mail(&ada.email, "first-factor-added").await;
                let form = [("token", mail.token())];
                let answer = stage.act(anonymous.post_form("/undo-factor", &form)).await;
                (answer, Fact::NoLogin(ada.email, ada.password))
            }
            Self::DeleteAccount => {
                ada.refresh().await.expect(200);
                let answer = stage.act(ada.leave()).await;
                (answer, Fact::NoLogin(ada.email, ada.password))
            }
            other => other.belongs_elsewhere(),
        }
    }

    async fn of_a_team(self, stage: &Stage<'_, impl Fault>) -> (Answer, Fact) {
        let ada = stage.verified("ada").await;
        let (user, name) = (ada.as_user(), stage.tag.clone());
        let body = json!({ "name": name });
        let team = format!("/api/teams/{}", claim(&ada, "tid"));
        let projects = format!("{team}/projects");
        match self {
            Self::CreateTeam => {
                let answer = stage.act(user.post_json("/api/teams", body)).await;
                (answer, ada.sees("/api/teams", &name, true))
            }
            Self::UpdateTeam => {
                let answer = stage.act(user.json(Method::PATCH, &team, body)).await;
                (answer, ada.sees("/api/teams", &name, true))
            }
            Self::DeleteTeam => {
                let created = ada.make_team(&name).await;
                let path = format!("/api/teams/{}", text(&created, "id"));
                let answer = stage.act(user.json(Method::DELETE, &path, body)).await;
                (answer, ada.sees("/api/teams", &name, false))
            }
            Self::CreateProject => {
                let answer = stage.act(user.post_json(&projects, body)).await;
                (answer, ada.sees(&projects, &name, true))
            }
            Self::DeleteProject => {
                let created = user.post_json(&projects, body.clone()).await.expect(200).json();
                let path = format!("{projects}/{}", text(&created, "id"));
                let answer = stage.act(user.json(Method::DELETE, &path, body)).await;
                (answer, ada.sees(&projects, &name, false))
            }
            Self::CreateKey => {
                let body = json!({ "name": name, "scopes": ["vault:read"] });
                let answer = stage.act(user.post_json(&ada.keys(), body)).await;
                (answer, ada.sees(&ada.keys(), &name, true))
            }
            Self::RevokeKey => {
                let key = ada.make_key(&["vault:read"]).await;
                let path = format!("{}/{}", ada.keys(), key.id);
                (stage.act(user.delete(&path)).await, ada.sees(&ada.keys(), &key.id, false))
            }
            other => other.belongs_elsewhere(),
        }
    }

    async fn of_members(self, stage: &Stage<'_, impl Fault>) -> (Answer, Fact) {
        let mut ada = stage.verified("ada").await;
        let team = claim(&ada, "tid");
        let bob = stage.verified("bob").await;
        let members = format!("/api/teams/{team}/members");
        let invitations = format!("/api/teams/{team}/invitations");
        if matches!(self, Self::ChangeRole | Self::RemoveMember) {
            ada.invited(&team, &bob.email, "viewer").await;
            bob.accept(stage.mail(&bob.email, "invitation").await.token()).await.expect(200);
        }
        match self {
            Self::Invite => {
                let answer = stage.act(ada.invite(&team, &bob.email, "viewer")).await;
                (answer, Fact::Mailed(bob.email, "invitation", 1))
            }
            Self::RevokeInvitation => {
                let id = ada.invited(&team, &bob.email, "viewer").await;
                let path = format!("{invitations}/{id}");
                let answer = stage.act(ada.as_user().delete(&path)).await;
                (answer, ada.sees(&invitations, &bob.email, false))
            }
            Self::AcceptInvitation => {
                ada.invited(&team, &bob.email, "viewer").await;
                let mail = stage.mail(&bob.email, "invitation").await;
                let answer = stage.act(bob.accept(mail.token())).await;
                (answer, ada.sees(&members, &id_of(&bob), true))
            }
            Self::ChangeRole => {
                let answer = stage.act(ada.set_role(&team, &bob, "admin")).await;
                (answer, ada.sees(&members, "\"admin\"", true))
            }
            Self::RemoveMember => {
                let answer = stage.act(ada.remove_member(&team, &bob)).await;
                (answer, ada.sees(&members, &id_of(&bob), false))
            }
            Self::Switch => {
                let other = text(&ada.make_team(&stage.tag).await, "id");
                let answer = stage.act(ada.switch(&other, json!({}))).await;
                // A new session begins in the team that the user used last.
                (answer, ada.me_has("/team/id", other.into()))
            }
            Self::RevokeToken => {
                let form = [("token", ada.vault_token.as_str())];
                let anonymous = stage.running.anonymous();
                let answer = stage.act(anonymous.post_form("/api/revoke", &form)).await;
                (answer, Fact::VaultRefused(ada.vault_token))
            }
            other => other.belongs_elsewhere(),
        }
    }
}

impl<F: Fault> Stage<'_, F> {
    fn address(&self, who: &str) -> String {
        format!("{who}-{}@nth.example", self.tag)
    }

    async fn unverified(&self, who: &str) -> Person {
        Person::register(&self.running.client, &self.address(who)).await
    }

    async fn verified(&self, who: &str) -> Person {
        let mut person = self.unverified(who).await;
        let mail = self.mail(&person.email, "confirm").await;
        person.verify(mail.token()).await.expect(200);
        person
    }

    async fn mail(&self, address: &str, kind: &str) -> Mail {
        eventually("a mail", PATIENCE, async || {
            let mails = self.running.mails_to(address).await;
            mails.into_iter().find(|mail| mail.kind.as_deref() == Some(kind))
        })
        .await
    }

    async fn resend(&self, person: &Person) -> Answer {
        person.as_user().get("/api/resend-email-verification").await
    }
}

async fn change_email(person: &Person, email: &str) -> Answer {
    let body = json!({ "password": person.password, "email": email });
    person.as_user().post_json("/api/change-email", body).await
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().expect("text").to_owned()
}
