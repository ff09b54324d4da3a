//! [`Role`]: what a member of a team may do.

/// A member's role. Each may do what the next one may, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Works.
    Member,
    /// Manages projects and members.
    Admin,
    /// Owns the team; each team has at least one.
    Owner,
}

impl Role {
    /// The role of a name in the table.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.name() == name)
    }

    /// As in the table, and as `role` in the vaultToken.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// `scope` of the vaultToken: space-separated (RFC 6749 §3.3).
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Viewer => "vault:read",
            Self::Member => "vault:read vault:write",
            Self::Admin => "vault:read vault:write vault:manage",
            Self::Owner => "vault:read vault:write vault:manage team:own",
        }
    }
}
