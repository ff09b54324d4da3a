//! [`Role`]: the role of a team member, with the name of the role in the database.

/// A member's role. Each role has all rights of the role that is listed before it, and more rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A viewer may read.
    Viewer,
    /// A member may also write.
    Member,
    /// An admin may also manage projects and members.
    Admin,
    /// An owner has all rights in the team. Each team has at least one owner.
    Owner,
}

impl Role {
    /// Every role, from the lowest to the highest.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Member, Self::Admin, Self::Owner];

    /// Reads a role from its name in the column. `None` if the name is unknown, because a later
    /// release wrote it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The name of the role in the column, and in the claim `role` of the vaultToken.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}
