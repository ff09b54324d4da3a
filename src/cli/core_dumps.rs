//! Keeps the memory of this process out of core dumps, because it contains keys and passwords.

/// Turns core dumps off, and hides the memory and the environment of this process from other
/// processes of the same user (prctl(2), `PR_SET_DUMPABLE`).
///
/// Errors are ignored: a sandbox perhaps forbids the calls, and has its own limit of core dumps.
pub(super) fn turn_off() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
