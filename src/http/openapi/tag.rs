//! [`Tag`]: the sections of the API reference.

/// The section of the reference that an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    Session,
    Account,
    Email,
    Password,
    Team,
    Project,
    Member,
    Invitation,
    Key,
    Meta,
}

impl Tag {
    /// All tags in the order of the reference, each with its name and its description.
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
