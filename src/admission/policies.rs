//! The numbers of the limits by address (docs/limits.md).
//!
//! Every limit is a bucket (GCRA) that holds `burst` and fills evenly over `window`. So in any stretch of time of
//! length L at most `burst + L × burst / window` requests pass.

use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What a client wants to do. Limits are keyed by action, never by path: two spellings of a path share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Any request at all; asked for each, before its own action.
    Anything,
    /// Every check of a password: log-in, change of password or address, deletion of the account.
    Login,
    /// Making an account.
    Register,
    /// Asking for a recovery mail.
    Forgot,
    /// Spending a recovery token.
    Reset,
    /// Spending a confirmation token.
    Verify,
    /// Asking for another confirmation mail, or for one to a new address.
    Resend,
    /// Asking whether an address has an account.
    ExistEmail,
    /// Asking for a captcha's challenge.
    Captcha,
    /// Failing to authenticate as a client of introspection or revocation.
    ClientFailure,
}

/// One bucket of an action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The policy's name in headers, for an IPv4 /32 or an IPv6 /64.
    pub(super) name: &'static str,
    /// The same for an IPv6 /48.
    pub(super) wide_name: &'static str,
    pub(super) burst: u32,
    /// How long an empty bucket takes to be full.
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

/// How many times its /64's quota a /48 has: a provider gives a home or a server between a /64 and a /48.
pub(super) const WIDE_FACTOR: u32 = 10;

/// Refreshes of one session: a client needs one every 15 minutes; 60 leave room for many tabs.
pub(super) const REFRESH: Window = window("refresh", "refresh", 60, MINUTE);

/// Checks of a password by one known device, which spends from no address's limit: as many as an address has. Its back-off
/// counts what fails; this bounds what succeeds, since each costs a hash.
pub(super) const DEVICE: [Window; 2] =
    [window("device", "device", 10, MINUTE), window("device-hour", "device-hour", 100, HOUR)];

/// The names of every limit by address, session and device, as in headers and metrics.
pub fn policy_names() -> Vec<&'static str> {
    let windows = Action::ALL.iter().flat_map(|action| action.windows());
    windows
        .flat_map(|it| [it.name, it.wide_name])
        .chain([REFRESH.name])
        .chain(DEVICE.map(|it| it.name))
        .collect()
}

impl Action {
    /// Every action, in the order of its discriminant.
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

    /// The buckets that must all have room.
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
            // 5 an hour after a burst of 10: a class or an office behind one address registers together.
            Self::Register => {
                const { &[window("register", "register-48", 10, Duration::from_hours(2))] }
            }
            Self::Forgot => const { &[window("forgot", "forgot-48", 5, HOUR)] },
            Self::Reset => const { &[window("reset", "reset-48", 20, MINUTE)] },
            Self::Verify => const { &[window("verify", "verify-48", 20, MINUTE)] },
            // Who asks is logged in, and the mailbox has its own budget of 3 to 10 an hour: four people an address,
            // each at half of their mailbox's most.
            Self::Resend => const { &[window("resend", "resend-48", 20, HOUR)] },
            Self::ExistEmail => {
                const {
                    &[
                        window("exist-email", "exist-email-48", 10, MINUTE),
                        window("exist-email-day", "exist-email-day-48", 100, DAY),
                    ]
                }
            }
            // A challenge costs us half a millisecond: 15 ms a minute and address. The widget asks once a form.
            Self::Captcha => const { &[window("captcha", "captcha-48", 30, MINUTE)] },
            // Secrets of 128 bits are not guessed; this bounds the noise, and 20 leave room to mend a setting.
            Self::ClientFailure => {
                const { &[window("client-failure", "client-failure-48", 20, MINUTE)] }
            }
        }
    }
}
