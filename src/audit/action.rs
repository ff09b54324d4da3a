//! [`Action`]: all actions that the audit records. The list is complete: any other action is not
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

            /// The name in the table and in every response: `<noun>.<what happened>`.
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
    /// An address was proven.
    EmailVerified = "account.email-verified",
    /// The confirmation was mailed again.
    ConfirmationResent = "account.confirmation-resent",
    /// The mailbox's owner removed an account registered with their address.
    AccountRejected = "account.rejected",
    /// An account with a never proven address was removed.
    AccountCollected = "account.collected",
    /// A user changed their name.
    Renamed = "account.renamed",
    /// A user deleted their account.
    AccountDeleted = "account.deleted",
    /// The operator created an account.
    AccountCreated = "account.created",
    /// The operator imported an account.
    AccountImported = "account.imported",
    /// The operator disabled an account, which ended every session.
    AccountDisabled = "account.disabled",
    /// The operator enabled an account again.
    AccountEnabled = "account.enabled",
    /// A login by password. Refused ones are recorded once an hour for each account and client key.
    LoggedIn = "session.login",
    /// A user ended their session.
    LoggedOut = "session.logout",
    /// A session was ended from another.
    SessionRevoked = "session.revoked",
    /// A user ended every other session.
    OtherSessionsRevoked = "session.others-revoked",
    /// The operator ended every session.
    AllSessionsRevoked = "session.all-revoked",
    /// The operator deleted the login back-off and the budgets of an account.
    LimitsReset = "limits.reset",
    /// The current tokens were sent to a holder of the previous userToken, because the first
    /// response may be lost.
    SessionRecovered = "session.recovered",
    /// A userToken was used after its successor was in use, so its session ended.
    ReuseDetected = "session.reuse-detected",
    /// A password was changed with the old one, and every other session ended.
    PasswordChanged = "password.changed",
    /// A recovery mail was requested.
    RecoveryAsked = "password.recovery-asked",
    /// A password was set with a mailed token, and every session ended.
    PasswordReset = "password.reset",
    /// A logged-in user confirmed a change with a wrong password. It is recorded once an hour for
    /// each account and client key.
    PasswordRefused = "password.refused",
    /// A change of address was requested.
    EmailChangeAsked = "email.change-asked",
    /// The new address was confirmed and is in force.
    EmailChanged = "email.changed",
    /// A change of address was undone, and every session ended.
    EmailChangeUndone = "email.change-undone",
    /// The new address's owner refused the change.
    EmailChangeRefused = "email.change-refused",
    /// A team was created.
    TeamCreated = "team.created",
    /// A team's name or slug changed.
    TeamUpdated = "team.updated",
    /// A team was deleted with everything in it.
    TeamDeleted = "team.deleted",
    /// The operator disabled a team, so its tokens are refused.
    TeamDisabled = "team.disabled",
    /// The operator enabled a team again.
    TeamEnabled = "team.enabled",
    /// A project was created.
    ProjectCreated = "project.created",
    /// A project's name or slug changed.
    ProjectUpdated = "project.updated",
    /// A project was deleted.
    ProjectDeleted = "project.deleted",
    /// A member's role changed.
    MemberRoleChanged = "member.role-changed",
    /// A member was removed by another.
    MemberRemoved = "member.removed",
    /// A member left, or deleted their account.
    MemberLeft = "member.left",
    /// An invitation was mailed.
    InvitationCreated = "invitation.created",
    /// An invitation was accepted, so the team has a new member.
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
    /// A vaultToken was revoked before its end.
    TokenRevoked = "token.revoked",
    /// A signing key was published, to sign next.
    SigningKeyPublished = "signing-key.published",
    /// A new signing key took over.
    SigningKeyRotated = "signing-key.rotated",
    /// A signing key stopped verifying.
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
