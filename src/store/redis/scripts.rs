//! The Lua scripts. Each script is called by its digest. If a server does not know the script, the
//! script is loaded first.

use redis::Script;

pub(super) const PROBE: &str = include_str!("probe.lua");

#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) open: Script,
    pub(super) replace: Script,
    pub(super) list: Script,
    pub(super) end_one: Script,
    pub(super) end_all: Script,
    pub(super) forget: Script,
    pub(super) drop_token: Script,
    pub(super) spend_once: Script,
    pub(super) spend_budgets: Script,
    pub(super) admit: Script,
    pub(super) reset_attempts: Script,
    pub(super) cancel_attempt: Script,
    pub(super) prove_client: Script,
    pub(super) repair: Script,
    pub(super) probe: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            open: Script::new(include_str!("open.lua")),
            replace: Script::new(include_str!("replace.lua")),
            list: Script::new(include_str!("list.lua")),
            end_one: Script::new(include_str!("end_one.lua")),
            end_all: Script::new(include_str!("end_all.lua")),
            forget: Script::new(include_str!("forget.lua")),
            drop_token: Script::new(include_str!("drop_token.lua")),
            spend_once: Script::new(include_str!("spend_once.lua")),
            spend_budgets: Script::new(include_str!("spend_budgets.lua")),
            admit: Script::new(include_str!("admit.lua")),
            reset_attempts: Script::new(include_str!("reset_attempts.lua")),
            cancel_attempt: Script::new(include_str!("cancel_attempt.lua")),
            prove_client: Script::new(include_str!("prove_client.lua")),
            repair: Script::new(include_str!("repair.lua")),
            probe: Script::new(PROBE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// The Redis commands that a script calls.
    fn commands(script: &str) -> BTreeSet<String> {
        let calls = script.split("redis.call('").skip(1);
        calls.filter_map(|rest| Some(rest.split_once('\'')?.0.to_owned())).collect()
    }

    #[test]
    fn the_probe_uses_every_command_of_the_scripts() {
        let probed = commands(include_str!("probe.lua"));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/redis");
        let mut used = BTreeSet::new();
        for file in fs::read_dir(folder).unwrap().flatten() {
            if file.path().extension().is_some_and(|it| it == "lua") {
                used.extend(commands(&fs::read_to_string(file.path()).unwrap()));
            }
        }
        assert_eq!(probed, used);
    }
}
