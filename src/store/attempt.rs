//! The arguments and results of the operations on login attempts.

use std::time::Duration;

/// The client and the account of an attempt. Both are digests, because they are parts of keys in
/// the store. They are never an email address or an IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptKey<'a> {
    /// The digest for the account, or for an email address that has no account.
    pub account: &'a str,
    pub client: &'a str,
    /// Whether the client has proven that it belongs to the account.
    pub kind: ClientKind,
}

/// Whether a client has proven that it belongs to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// The client has proven nothing. Its failures count towards the cap, and the cap applies to
    /// this client.
    Anonymous,
    /// The client is a known device or has an active session. Only its own back-off applies to this
    /// client.
    Known,
}

/// The state of the captcha for an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptCaptcha {
    /// Whether a client can get a captcha at all.
    pub available: bool,
    /// Whether a client can solve a captcha instead of waiting a short time.
    pub replaces_waits: bool,
    /// The difficulty of the captcha that the client has solved. 0 if the client has solved none.
    pub solved: u32,
}

/// The other properties of an attempt, which are not part of its [`AttemptKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptContext {
    pub captcha: AttemptCaptcha,
    /// Whether the store is allowed to create a record for the account if there is none.
    pub may_add: bool,
}

/// Whether the client may make another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptVerdict {
    /// The client may make the attempt. The attempt counts as a failure until it is reset or
    /// cancelled.
    Admitted {
        /// The failures of anonymous clients for the account, including this attempt.
        failures: u32,
    },
    /// The client must wait. The attempt is not counted.
    Wait {
        /// The wait ends after this time. After the wait, the client perhaps needs a captcha, or
        /// has to wait again because another client made an attempt first.
        retry_after: Duration,
    },
    /// The client needs a captcha of this difficulty. The attempt is not counted.
    CaptchaNeeded {
        /// The difficulty of the captcha. It is at least 1.
        difficulty: u32,
    },
    /// The store has no record of the account and is not allowed to create one. The attempt is not
    /// counted.
    Full,
}
