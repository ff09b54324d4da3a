//! [`Tag`]: the sections of the API reference.

/// The section of the reference that an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    Session,
    Account,
    Factor,
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
    pub(super) const ALL: [(Self, &'static str, &'static str); 11] = [
        (Self::Session, "Sessions", "Log in, refresh tokens, log out, and list or end sessions."),
        (Self::Account, "Account", "The user's own account."),
        (Self::Factor, "Second factors", "Add, confirm, rename and remove second factors."),
        (Self::Email, "Email", "Verify and change email addresses."),
        (Self::Password, "Password", "Reset and change passwords."),
        (Self::Team, "Teams", "The teams of the user."),
        (Self::Project, "Projects", "The projects of a team."),
        (Self::Member, "Members", "The members of a team and their roles."),
        (Self::Invitation, "Invitations", "Invitations to a team."),
        (Self::Key, "Keys", "The keys of a project. Each key is a service account."),
        (
            Self::Meta,
            "Verification",
            "Verify tokens, get captcha challenges, and read the description of the API.",
        ),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(tag, _, _)| *tag == self).map_or("", |(_, name, _)| name)
    }
}
