//! [`Permission`]: what a [`Role`] may do in a team. No other source file has a table of
//! permissions. `docs/tenancy.md` shows the same table, and a test checks that the two tables are
//! equal.

pub use latchkey_entity::Role;

/// Creates the enum and its methods from one table.
macro_rules! permissions {
    ($($permission:ident $least:ident $what:literal;)+) => {
        /// What a member may do in a team. The route table names the permission that a route needs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Permission {
            $(#[doc = $what] $permission,)+
        }

        impl Permission {
            /// Every permission, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$permission,)+];

            /// The lowest role that has the permission.
            pub const fn least(self) -> Role {
                match self {
                    $(Self::$permission => Role::$least,)+
                }
            }

            /// What the permission allows, as a text for the documentation.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$permission => $what,)+
                }
            }
        }
    };
}

permissions! {
    SeeTeam Viewer "see the team";
    ReadTeam Viewer "see the team's projects and members";
    UseTeam Viewer "switch a session to the team";
    LeaveTeam Viewer "leave the team";
    ManageTeam Admin "change the team's name and slug";
    ManageProjects Admin "create, change and delete projects";
    ManageMembers Admin "change the roles of members and remove members, up to one's own role";
    ManageInvitations Admin "list invitations, and create, resend and revoke those with a role up to one's own";
    ManageKeys Admin "create, list and revoke the keys of projects";
    RequireFactor Owner "require a second factor of the members";
    DeleteTeam Owner "delete the team";
}

impl Permission {
    /// Whether a role has the permission.
    pub fn is_granted_to(self, role: Role) -> bool {
        role >= self.least()
    }

    /// Whether the permission holds in a team that the operator has disabled. Members can still
    /// read and leave a disabled team. Owners can still delete it, because otherwise they could not
    /// delete their own accounts.
    pub const fn holds_while_disabled(self) -> bool {
        matches!(self, Self::SeeTeam | Self::ReadTeam | Self::LeaveTeam | Self::DeleteTeam)
    }

    /// Whether the permission holds if the team requires a second factor and the member's session
    /// has none. The member can still see that the team requires one, and can leave.
    pub const fn holds_without_factor(self) -> bool {
        matches!(self, Self::SeeTeam | Self::LeaveTeam)
    }
}

/// The scopes of a vaultToken, for the team's own APIs. Each row has the name, the meaning and the
/// lowest role that has the scope.
pub const SCOPES: &[(&str, &str, Role)] = &[
    ("vault:read", "read the data of the team", Role::Viewer),
    ("vault:write", "change the data of the team", Role::Member),
    ("vault:manage", "manage the data of the team", Role::Admin),
    ("team:own", "do what only an owner may do", Role::Owner),
];

/// The claim `scope` of a vaultToken for a role: the names of the scopes, separated by spaces (RFC
/// 6749 §3.3).
pub fn scope_of(role: Role) -> String {
    let granted = SCOPES.iter().filter(|(_, _, least)| role >= *least);
    granted.map(|(name, _, _)| *name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, least: Role) -> String {
        let marks = Role::ALL.map(|role| if role >= least { " yes |" } else { " |" });
        format!("| {name} |{}\n", marks.concat())
    }

    #[test]
    fn the_table_in_the_documentation_is_this_one() {
        let head = "| | viewer | member | admin | owner |\n|---|---|---|---|---|\n";
        let may: String = Permission::ALL.iter().map(|it| row(it.what(), it.least())).collect();
        let scopes: String = SCOPES
            .iter()
            .map(|(name, what, least)| row(&format!("`{name}` in `scope`: {what}"), *least))
            .collect();
        let table = format!("{head}{may}{scopes}");
        let page = include_str!("../../docs/tenancy.md");
        assert!(page.contains(&table), "docs/tenancy.md has to hold\n{table}");
    }

    #[test]
    fn a_higher_role_may_more_and_its_scope_says_so() {
        for pair in Role::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(scope_of(pair[1]).starts_with(&scope_of(pair[0])));
            assert!(
                Permission::ALL
                    .iter()
                    .all(|it| !it.is_granted_to(pair[0]) || it.is_granted_to(pair[1]))
            );
        }
        assert_eq!(scope_of(Role::Owner), "vault:read vault:write vault:manage team:own");
        assert_eq!(scope_of(Role::Viewer), "vault:read");
    }
}
