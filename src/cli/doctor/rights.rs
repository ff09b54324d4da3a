//! Checks the rights of the database role, and reports whether one role or two roles are in use.

use super::Finding;
use crate::database::Rights;

/// `has_migrate_url` says whether `database.migrate_url` is set.
pub(super) fn assess(rights: &Rights, has_migrate_url: bool, found: &mut Vec<Finding>) {
    let Rights { role, owner, is_owner, may_create, excess, .. } = rights;
    for (names, fix) in [
        (
            &rights.closed_tables,
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO the role",
        ),
        (&rights.closed_functions, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA … TO the role"),
    ] {
        if let Some(names) = names {
            found.push(Finding::failed(format!("the role {role} may not use: {names}"), fix));
        }
    }
    let Some(owner) = owner else {
        if !may_create {
            found.push(Finding::warning(
                format!("the role {role} may not create tables, so another role has to migrate"),
                "run `latchkey migrate up` with `database.migrate_url`",
            ));
        }
        return;
    };
    if role == owner {
        let text = format!("one role: {role} owns the tables that it serves");
        found.push(if has_migrate_url {
            Finding::warning(
                format!("{text}, although `database.migrate_url` is set"),
                "set `database.url` to a role that owns nothing",
            )
        } else {
            Finding::ok(text)
        });
        return;
    }
    found.push(Finding::ok(format!("two roles: {owner} owns the tables, {role} serves")));
    if *is_owner {
        found.push(Finding::warning(
            format!("{role} is a member of {owner}, so it has the rights of the owner"),
            "REVOKE the owner's role from the serving role",
        ));
    } else if *may_create {
        found.push(Finding::warning(
            format!("{role} may create tables, which no daemon needs"),
            "REVOKE CREATE ON SCHEMA … FROM the role",
        ));
    }
    if let Some(names) = excess.as_ref().filter(|_| !is_owner) {
        found.push(Finding::warning(
            format!("{role} has rights that no daemon needs on: {names}"),
            "REVOKE TRUNCATE, TRIGGER ON ALL TABLES IN SCHEMA … FROM the role, and REVOKE INSERT, \
             UPDATE, DELETE ON seaql_migrations FROM the role",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::State::{Failed, Ok, Warning};
    use super::super::tests::states;
    use super::*;

    fn rights() -> Rights {
        Rights {
            role: "latchkey".to_owned(),
            owner: Some("latchkey".to_owned()),
            is_owner: true,
            may_create: true,
            ..Rights::default()
        }
    }

    fn serving() -> Rights {
        Rights {
            owner: Some("latchkey_owner".to_owned()),
            is_owner: false,
            may_create: false,
            ..rights()
        }
    }

    fn found(rights: &Rights, has_migrate_url: bool) -> Vec<Finding> {
        let mut found = Vec::new();
        assess(rights, has_migrate_url, &mut found);
        found
    }

    #[test]
    fn an_installation_with_one_role_and_one_with_two_roles_are_told_apart() {
        let one = found(&rights(), false);
        assert_eq!(states(&one), [Ok]);
        assert!(one[0].detail.starts_with("one role: latchkey owns"), "{one:?}");
        assert_eq!(states(&found(&rights(), true)), [Warning]);
        for has_migrate_url in [false, true] {
            let two = found(&serving(), has_migrate_url);
            assert_eq!(states(&two), [Ok]);
            assert!(two[0].detail.starts_with("two roles: latchkey_owner owns"), "{two:?}");
        }
    }

    #[test]
    fn a_serving_role_is_warned_of_each_right_that_it_does_not_need() {
        let member = found(&Rights { is_owner: true, may_create: true, ..serving() }, false);
        assert_eq!(states(&member), [Ok, Warning]);
        assert!(member[1].detail.contains("is a member of latchkey_owner"), "{member:?}");
        let creator = found(&Rights { may_create: true, ..serving() }, false);
        assert_eq!(states(&creator), [Ok, Warning]);
        let excess = Some("audit_events".to_owned());
        let excess = found(&Rights { excess, ..serving() }, false);
        assert_eq!(states(&excess), [Ok, Warning]);
        assert!(excess[1].detail.ends_with("audit_events"), "{excess:?}");
    }

    #[test]
    fn a_missing_right_fails_and_is_named() {
        let closed = Rights {
            closed_tables: Some("outbox, users".to_owned()),
            closed_functions: Some("latchkey_membership()".to_owned()),
            ..serving()
        };
        let closed = found(&closed, false);
        assert_eq!(states(&closed), [Failed, Failed, Ok]);
        assert!(closed[0].detail.ends_with("outbox, users"), "{closed:?}");
        assert!(closed[1].detail.ends_with("latchkey_membership()"), "{closed:?}");
        let before = Rights { owner: None, is_owner: false, may_create: false, ..rights() };
        assert_eq!(states(&found(&before, false)), [Warning]);
        assert!(found(&Rights { may_create: true, ..before }, false).is_empty());
    }
}
