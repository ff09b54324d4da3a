//! [`Role`]: the role of a team member, as columns store it.

/// A member's role. Each role has all rights of the role before it, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May read.
    Viewer,
    /// May also write.
    Member,
    /// May also manage projects and members.
    Admin,
    /// Owns the team. Each team has at least one owner.
    Owner,
}

impl Role {
    /// Every role, from the lowest to the highest.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Member, Self::Admin, Self::Owner];

    /// Reads a role from its column. `None` for a role of a later release.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The name in the column, and in `role` of the vaultToken.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}
