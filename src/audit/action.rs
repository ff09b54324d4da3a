//! [`Action`]: the complete list of the actions that the audit records. Other actions are not
//! audited.

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// An action that was done or refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Action {
            /// All actions.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The action's name in the database and in every response. Its form is `<noun>.<what
            /// happened>`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The meaning of the action, in a sentence.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

actions! {
    /// A user registered.
    Registered = "account.registered",
    /// A user proved that an email address is theirs.
    EmailVerified = "account.email-verified",
    /// The confirmation mail was sent again.
    ConfirmationResent = "account.confirmation-resent",
    /// The owner of an email address removed an account that was registered with this address.
    AccountRejected = "account.rejected",
    /// The daemon removed an account whose email address was never confirmed.
    AccountCollected = "account.collected",
    /// A user changed their name.
    Renamed = "account.renamed",
    /// A user deleted their account.
    AccountDeleted = "account.deleted",
    /// The operator created an account.
    AccountCreated = "account.created",
    /// The operator imported an account.
    AccountImported = "account.imported",
    /// The operator disabled an account, and all its sessions ended.
    AccountDisabled = "account.disabled",
    /// The operator enabled an account again.
    AccountEnabled = "account.enabled",
    /// A user logged in with a password or a passkey, or the login was refused. Refused logins are
    /// recorded once an hour for each account and client key.
    LoggedIn = "session.login",
    /// A user logged out, which ended the session in use.
    LoggedOut = "session.logout",
    /// A user ended one of their sessions from another session.
    SessionRevoked = "session.revoked",
    /// A user ended all sessions except the one in use.
    OtherSessionsRevoked = "session.others-revoked",
    /// The operator ended all sessions of an account.
    AllSessionsRevoked = "session.all-revoked",
    /// The operator deleted the login back-off and the budgets of an account.
    LimitsReset = "limits.reset",
    /// The current tokens were sent to a client that has the previous userToken, because the first
    /// response may have been lost.
    SessionRecovered = "session.recovered",
    /// A userToken was used although the token that replaced it was already in use, so the session
    /// ended.
    ReuseDetected = "session.reuse-detected",
    /// A user changed the password with the current password, and all other sessions ended.
    PasswordChanged = "password.changed",
    /// A recovery mail was requested.
    RecoveryAsked = "password.recovery-asked",
    /// A user set a new password with a token from a recovery mail, and all sessions ended.
    PasswordReset = "password.reset",
    /// A logged-in user sent a wrong password to confirm a change. This is recorded once an hour
    /// for each account and client key.
    PasswordRefused = "password.refused",
    /// A user requested a change of the email address.
    EmailChangeAsked = "email.change-asked",
    /// The new email address was confirmed, and the account now has it.
    EmailChanged = "email.changed",
    /// A change of the email address was undone, and all sessions ended.
    EmailChangeUndone = "email.change-undone",
    /// The owner of the new email address refused the change.
    EmailChangeRefused = "email.change-refused",
    /// A user confirmed a second factor.
    FactorAdded = "factor.added",
    /// A user gave a second factor another name.
    FactorRenamed = "factor.renamed",
    /// A user removed a second factor.
    FactorRemoved = "factor.removed",
    /// A user replaced the recovery codes, and the older ones became invalid.
    RecoveryCodesReplaced = "factor.recovery-codes-replaced",
    /// A user used up a recovery code.
    RecoveryCodeUsed = "factor.recovery-code-used",
    /// A user sent a wrong code or passkey as the second factor, after the right password or in a
    /// session. This is recorded once an hour for each account and client key.
    FactorRefused = "factor.refused",
    /// A passkey reported a lower number of signatures than before, so another device perhaps has a
    /// copy of it. The passkey was accepted.
    PasskeyCounterFell = "factor.counter-fell",
    /// A user proved a password or a second factor again in a session.
    SteppedUp = "session.step-up",
    /// The link in the mail about the first factor was used. The factors were removed, all sessions
    /// ended, and the password became invalid.
    FactorUndone = "factor.undone",
    /// The operator removed all second factors of an account, and all its sessions ended.
    FactorsReset = "factor.reset",
    /// A team was created.
    TeamCreated = "team.created",
    /// A team's name or slug changed.
    TeamUpdated = "team.updated",
    /// A team was deleted, together with everything that belongs to it.
    TeamDeleted = "team.deleted",
    /// The operator disabled a team. The team's tokens are refused from then on.
    TeamDisabled = "team.disabled",
    /// The operator enabled a team again.
    TeamEnabled = "team.enabled",
    /// A project was created.
    ProjectCreated = "project.created",
    /// A project's name or slug changed.
    ProjectUpdated = "project.updated",
    /// A project was deleted.
    ProjectDeleted = "project.deleted",
    /// The role of a team member changed.
    MemberRoleChanged = "member.role-changed",
    /// A team member was removed from the team by another member.
    MemberRemoved = "member.removed",
    /// A team member left the team, or deleted their account.
    MemberLeft = "member.left",
    /// An invitation was mailed.
    InvitationCreated = "invitation.created",
    /// An invitation was accepted, and the team has a new member.
    InvitationAccepted = "invitation.accepted",
    /// An invitation was declined by its recipient.
    InvitationDeclined = "invitation.declined",
    /// The team revoked an invitation.
    InvitationRevoked = "invitation.revoked",
    /// An invitation was mailed again.
    InvitationResent = "invitation.resent",
    /// A project's key was created.
    ProjectKeyCreated = "project-key.created",
    /// A project's key was revoked.
    ProjectKeyRevoked = "project-key.revoked",
    /// A vaultToken was revoked before it expired.
    TokenRevoked = "token.revoked",
    /// The daemon recorded the last rows of the other audit streams.
    Checkpoint = "audit.checkpoint",
    /// The next signing key was published. It does not sign tokens yet.
    SigningKeyPublished = "signing-key.published",
    /// A new signing key replaced the previous one and now signs tokens.
    SigningKeyRotated = "signing-key.rotated",
    /// A signing key was retired. Tokens that it signed are no longer accepted.
    SigningKeyRetired = "signing-key.retired",
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own_and_says_what_it_means() {
        let names: HashSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            let (noun, what) = action.as_str().split_once('.').unwrap();
            assert!(!noun.is_empty() && !what.is_empty());
            assert!(action.doc().ends_with('.'), "{action:?}: {}", action.doc());
        }
    }
}
