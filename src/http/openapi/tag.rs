//! [`Tag`]: the chapters of the reference.

/// Where an operation stands in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Logging in and out.
    Session,
    /// Accounts.
    Account,
    /// Addresses.
    Email,
    /// Passwords.
    Password,
    /// Teams.
    Team,
    /// Projects.
    Project,
    /// Members of a team.
    Member,
    /// Invitations into a team.
    Invitation,
    /// Project keys.
    Key,
    /// Keys and descriptions.
    Meta,
}

impl Tag {
    /// Every tag, with its name and what it is about, in the order of the reference.
    pub(super) const ALL: [(Self, &'static str, &'static str); 10] = [
        (Self::Session, "Sessions", "Logging in, refreshing, logging out."),
        (Self::Account, "Account", "A person's own account."),
        (Self::Email, "Email", "Proving and changing addresses."),
        (Self::Password, "Password", "Recovering and changing passwords."),
        (Self::Team, "Teams", "The teams that one is in."),
        (Self::Project, "Projects", "What a team owns."),
        (Self::Member, "Members", "Who is in a team, as what."),
        (Self::Invitation, "Invitations", "Who may become a member."),
        (Self::Key, "Keys", "Service accounts of a project."),
        (Self::Meta, "Verification", "What verifies tokens, and what describes the API."),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(tag, _, _)| *tag == self).map_or("", |(_, name, _)| name)
    }
}
