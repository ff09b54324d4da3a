//! The numbers of the limits by client IP address, session and known device. `docs/limits.md` lists
//! them.
//!
//! Every limit is a bucket (GCRA). It holds `burst` units and fills evenly within `window`. So in
//! any period of length L it allows at most `burst + L × burst / window` requests.

use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The action that a client requests. Limits count by action and not by path, because two spellings
/// of the same path must share one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Any request. This limit is checked for each request, before the limit of the request's own
    /// action.
    Anything,
    /// Every check of a password: at a login, a change of the password or the email address, and
    /// the deletion of the account.
    Login,
    /// Registering an account.
    Register,
    /// Requesting a recovery mail.
    Forgot,
    /// Using a recovery token.
    Reset,
    /// Using a confirmation token.
    Verify,
    /// Requesting another confirmation mail, or a confirmation mail to a new email address.
    Resend,
    /// Asking whether an email address has an account.
    ExistEmail,
    /// Requesting a captcha challenge.
    Captcha,
    /// Sending a second factor to complete a login.
    LoginFactor,
    /// Beginning a ceremony of a passkey.
    PasskeyOptions,
    /// Logging in by passkey, without a password.
    PasskeyLogin,
    /// Failing to authenticate at introspection or revocation.
    ClientFailure,
}

/// The size and the names of one bucket of an action.
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

/// The quota of a /48 is this many times the quota of a /64. A /48 has a quota of its own, because
/// a provider gives a home or a server a prefix whose size is between a /64 and a /48.
pub(super) const WIDE_FACTOR: u32 = 10;

/// Refreshes of one session. A client needs one refresh every 15 minutes. 60 refreshes a minute are
/// enough for a browser with many tabs.
pub(super) const REFRESH: Window = window("refresh", "refresh", 60, MINUTE);

/// Checks of a password that one known device requests. They do not count towards the limit of the
/// device's IP address. A device may request as many checks as an IP address may. The device's
/// back-off limits wrong passwords. This limit also bounds right passwords, because each check
/// costs a hash.
pub(super) const DEVICE: [Window; 2] =
    [window("device", "device", 10, MINUTE), window("device-hour", "device-hour", 100, HOUR)];

/// The names of all limits by client IP address, session and device. Headers and metrics contain
/// these names.
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
    pub const ALL: [Self; 13] = [
        Self::Anything,
        Self::Login,
        Self::Register,
        Self::Forgot,
        Self::Reset,
        Self::Verify,
        Self::Resend,
        Self::ExistEmail,
        Self::Captcha,
        Self::LoginFactor,
        Self::PasskeyOptions,
        Self::PasskeyLogin,
        Self::ClientFailure,
    ];

    /// The buckets of the action. A request is allowed only if none of these buckets is empty.
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
            // 10 at once, then 5 an hour. The 10 are for a class or an office whose users share one
            // IP address and register at the same time.
            Self::Register => {
                const { &[window("register", "register-48", 10, Duration::from_hours(2))] }
            }
            Self::Forgot => const { &[window("forgot", "forgot-48", 5, HOUR)] },
            Self::Reset => const { &[window("reset", "reset-48", 20, MINUTE)] },
            Self::Verify => const { &[window("verify", "verify-48", 20, MINUTE)] },
            // The client is logged in, and the recipient's email address has its own budget of 3 to
            // 10 mails an hour. 20 an hour are enough for four users behind one IP address, if each
            // of them uses half of the 10 mails.
            Self::Resend => const { &[window("resend", "resend-48", 20, HOUR)] },
            Self::ExistEmail => {
                const {
                    &[
                        window("exist-email", "exist-email-48", 10, MINUTE),
                        window("exist-email-day", "exist-email-day-48", 100, DAY),
                    ]
                }
            }
            // A challenge costs the daemon 0.5 ms of CPU time, so one IP address costs the daemon
            // at most 15 ms a minute. The widget requests one challenge per form.
            Self::Captcha => const { &[window("captcha", "captcha-48", 30, MINUTE)] },
            // The back-off for codes limits guessing. This limit bounds the load.
            Self::LoginFactor => const { &[window("login-factor", "login-factor-48", 30, MINUTE)] },
            Self::PasskeyOptions => {
                const { &[window("passkey-options", "passkey-options-48", 30, MINUTE)] }
            }
            Self::PasskeyLogin => {
                const { &[window("passkey-login", "passkey-login-48", 30, MINUTE)] }
            }
            // This limit is not against guessing, because no client can guess a secret of 128 bits.
            // It bounds the load and the number of log lines. With 20 failures a minute, an
            // operator who is correcting a wrong setting is not refused.
            Self::ClientFailure => {
                const { &[window("client-failure", "client-failure-48", 20, MINUTE)] }
            }
        }
    }
}
