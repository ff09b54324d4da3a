//! `rate_limit.*`.

/// How much clients, accounts and mailboxes may ask for.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits {
    /// `rate_limit.enabled`
    pub enabled: bool,
    /// `rate_limit.replicas`
    pub replicas: u32,
    /// `rate_limit.account_writes`
    pub account_writes: u32,
    /// `rate_limit.keys_max`
    pub keys_max: u32,
}
