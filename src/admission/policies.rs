//! The numbers of the limits by address (docs/limits.md).
//!
//! Every limit is a bucket (GCRA) that holds `burst` and fills evenly over `window`. So in any
//! stretch of time of length L at most `burst + L × burst / window` requests pass.

use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What a client requests. Limits are keyed by action and not by path, because two spellings of a
/// path must share one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Any request. It is checked for each request, before the request's own action.
    Anything,
    /// Every check of a password: login, change of the password or the address, deletion of the
    /// account.
    Login,
    /// Creating an account.
    Register,
    /// Requesting a recovery mail.
    Forgot,
    /// Using a recovery token.
    Reset,
    /// Using a confirmation token.
    Verify,
    /// Requesting another confirmation mail, or one to a new address.
    Resend,
    /// Asking whether an address has an account.
    ExistEmail,
    /// Requesting a captcha challenge.
    Captcha,
    /// Failing to authenticate as a client of introspection or revocation.
    ClientFailure,
}

/// One bucket of an action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The policy's name in headers, for an IPv4 /32 or an IPv6 /64.
    pub(super) name: &'static str,
    /// The policy's name in headers, for an IPv6 /48.
    pub(super) wide_name: &'static str,
    pub(super) burst: u32,
    /// How long an empty bucket takes to fill.
    pub(super) full_after: Duration,
}

const fn window(
    name: &'static str,
    wide_name: &'static str,
    burst: u32,
    full_after: Duration,
) -> Window {
    Window { name, wide_name, burst, full_after }
}

/// A /48 has this many times the quota of a /64. A provider gives a home or a server a prefix
/// between a /64 and a /48.
pub(super) const WIDE_FACTOR: u32 = 10;

/// Refreshes of one session. A client needs one every 15 minutes, and 60 a minute are enough for
/// many tabs.
pub(super) const REFRESH: Window = window("refresh", "refresh", 60, MINUTE);

/// Checks of a password by one known device. They do not spend from the limit of an address, and a
/// device has as many as an address. The device's back-off limits the failures. This limit bounds
/// the successes, because each costs a hash.
pub(super) const DEVICE: [Window; 2] =
    [window("device", "device", 10, MINUTE), window("device-hour", "device-hour", 100, HOUR)];

/// The names of all limits by address, session and device, as used in headers and metrics.
pub fn policy_names() -> Vec<&'static str> {
    let windows = Action::ALL.iter().flat_map(|action| action.windows());
    windows
        .flat_map(|it| [it.name, it.wide_name])
        .chain([REFRESH.name])
        .chain(DEVICE.map(|it| it.name))
        .collect()
}

impl Action {
    /// All actions, in the order of their discriminants.
    pub const ALL: [Self; 10] = [
        Self::Anything,
        Self::Login,
        Self::Register,
        Self::Forgot,
        Self::Reset,
        Self::Verify,
        Self::Resend,
        Self::ExistEmail,
        Self::Captcha,
        Self::ClientFailure,
    ];

    /// The buckets of the action. A request passes only if all of them have one left.
    pub(super) const fn windows(self) -> &'static [Window] {
        match self {
            Self::Anything => const { &[window("anything", "anything-48", 300, MINUTE)] },
            Self::Login => {
                const {
                    &[
                        window("login", "login-48", 10, MINUTE),
                        window("login-hour", "login-hour-48", 100, HOUR),
                    ]
                }
            }
            // A burst of 10, then 5 an hour: a class or an office behind one address registers
            // together.
            Self::Register => {
                const { &[window("register", "register-48", 10, Duration::from_hours(2))] }
            }
            Self::Forgot => const { &[window("forgot", "forgot-48", 5, HOUR)] },
            Self::Reset => const { &[window("reset", "reset-48", 20, MINUTE)] },
            Self::Verify => const { &[window("verify", "verify-48", 20, MINUTE)] },
            // The client is logged in, and the mailbox has its own budget of 3 to 10 an hour. 20
            // are enough for four users behind one address, each at half of the mailbox's maximum.
            Self::Resend => const { &[window("resend", "resend-48", 20, HOUR)] },
            Self::ExistEmail => {
                const {
                    &[
                        window("exist-email", "exist-email-48", 10, MINUTE),
                        window("exist-email-day", "exist-email-day-48", 100, DAY),
                    ]
                }
            }
            // A challenge costs the daemon 0.5 ms, so an address can cost it 15 ms a minute. The
            // widget requests one challenge per form.
            Self::Captcha => const { &[window("captcha", "captcha-48", 30, MINUTE)] },
            // A client cannot guess a secret of 128 bits. The limit bounds the load and the log
            // lines, and 20 failures leave time to correct a wrong setting.
            Self::ClientFailure => {
                const { &[window("client-failure", "client-failure-48", 20, MINUTE)] }
            }
        }
    }
}
