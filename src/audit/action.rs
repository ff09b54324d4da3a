//! [`Action`]: everything that is recorded. A closed list: what is not in it is not audited.

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// What was done, or refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Action {
            /// Every action there is.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As in the table and in every answer: `<noun>.<what happened>`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What it means, in a sentence.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

actions! {
    /// An account was made by its person.
    Registered = "account.registered",
    /// An address was proven.
    EmailVerified = "account.email-verified",
    /// The confirmation was mailed again.
    ConfirmationResent = "account.confirmation-resent",
    /// The owner of the mailbox removed an account that was made with their address.
    AccountRejected = "account.rejected",
    /// An account whose address was never proven was removed.
    AccountCollected = "account.collected",
    /// A person changed their name.
    Renamed = "account.renamed",
    /// A person deleted their account.
    AccountDeleted = "account.deleted",
    /// The operator made an account.
    AccountCreated = "account.created",
    /// The operator imported an account.
    AccountImported = "account.imported",
    /// The operator disabled an account; every session ended.
    AccountDisabled = "account.disabled",
    /// The operator enabled an account again.
    AccountEnabled = "account.enabled",
    /// A log-in by password; refused ones once an hour for each account and source.
    LoggedIn = "session.login",
    /// A session ended by its person.
    LoggedOut = "session.logout",
    /// One session was ended from another.
    SessionRevoked = "session.revoked",
    /// Every session but the one that asked was ended.
    OtherSessionsRevoked = "session.others-revoked",
    /// Every session was ended by the operator.
    AllSessionsRevoked = "session.all-revoked",
    /// The operator deleted the login back-off and the budgets of an account.
    LimitsReset = "limits.reset",
    /// A userToken was shown again after its successor was in use: its session ended.
    ReuseDetected = "session.reuse-detected",
    /// A password was changed by the old one; every other session ended.
    PasswordChanged = "password.changed",
    /// A recovery mail was asked for.
    RecoveryAsked = "password.recovery-asked",
    /// A password was set by a mailed token; every session ended.
    PasswordReset = "password.reset",
    /// A password that somebody who is signed in had to prove was wrong; once an hour for each account and source.
    PasswordRefused = "password.refused",
    /// Another address was asked for.
    EmailChangeAsked = "email.change-asked",
    /// Another address was confirmed and is in force.
    EmailChanged = "email.changed",
    /// A change of address was taken back; every session ended.
    EmailChangeUndone = "email.change-undone",
    /// The owner of the new address refused the change.
    EmailChangeRefused = "email.change-refused",
    /// A team was made.
    TeamCreated = "team.created",
    /// A team's name or slug changed.
    TeamUpdated = "team.updated",
    /// A team was deleted with everything in it.
    TeamDeleted = "team.deleted",
    /// The operator disabled a team: its tokens open nothing.
    TeamDisabled = "team.disabled",
    /// The operator enabled a team again.
    TeamEnabled = "team.enabled",
    /// A project was made.
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
    /// Somebody was invited.
    InvitationCreated = "invitation.created",
    /// An invitation was accepted: there is a new member.
    InvitationAccepted = "invitation.accepted",
    /// An invitation was refused by whom it was for.
    InvitationDeclined = "invitation.declined",
    /// An invitation was taken back.
    InvitationRevoked = "invitation.revoked",
    /// An invitation was mailed again.
    InvitationResent = "invitation.resent",
    /// A project's key was made.
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
