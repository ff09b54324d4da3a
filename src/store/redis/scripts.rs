//! The scripts. Each is sent by its digest, and loaded where a server does not know it (any more).

use redis::Script;

/// Every script, read once.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) open: Script,
    pub(super) refresh: Script,
    pub(super) amend: Script,
    pub(super) list: Script,
    pub(super) end_one: Script,
    pub(super) end_all: Script,
    pub(super) forget: Script,
    pub(super) put_token: Script,
    pub(super) drop_token: Script,
    pub(super) spend_once: Script,
    pub(super) spend_budget: Script,
    pub(super) admit: Script,
    pub(super) forgive: Script,
    pub(super) pardon: Script,
    pub(super) refund: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            open: Script::new(include_str!("open.lua")),
            refresh: Script::new(include_str!("refresh.lua")),
            amend: Script::new(include_str!("amend.lua")),
            list: Script::new(include_str!("list.lua")),
            end_one: Script::new(include_str!("end_one.lua")),
            end_all: Script::new(include_str!("end_all.lua")),
            forget: Script::new(include_str!("forget.lua")),
            put_token: Script::new(include_str!("put_token.lua")),
            drop_token: Script::new(include_str!("drop_token.lua")),
            spend_once: Script::new(include_str!("spend_once.lua")),
            spend_budget: Script::new(include_str!("spend_budget.lua")),
            admit: Script::new(include_str!("admit.lua")),
            forgive: Script::new(include_str!("forgive.lua")),
            pardon: Script::new(include_str!("pardon.lua")),
            refund: Script::new(include_str!("refund.lua")),
        }
    }
}
