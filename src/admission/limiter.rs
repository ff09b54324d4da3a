//! The limiter, which counts requests by client IP address, session and known device. Its state is
//! in the memory of this process. It is synchronous, and a check takes a few hundred nanoseconds.
//!
//! Each replica has its own limiter. Limits that apply to all replicas together are in
//! [`super::budgets`].

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};

use super::policies::{Action, DEVICE, REFRESH, WIDE_FACTOR, Window};
use super::table::{Census, Elapsed, Mode, Probe, Source, Table, wait};
use crate::client_key::ClientKey;
use crate::clock::Clock;

/// The maximum number of keys in all tables of one limiter together.
///
/// A key and its value take 16 bytes. A map also has free slots, so it needs up to 40 bytes for
/// each key. This is at most 40 MB in all. When the number of keys is at its maximum, new clients
/// of a policy share 16 buckets until [`Limiter::sweep`] has removed keys. So these new clients use
/// up each other's limits. Clients that already have a bucket are not affected, and memory does not
/// grow.
pub const KEYS_MAX: usize = 1_000_000;

/// The maximum number of bytes that a key needs in its map. A map doubles its slots when seven
/// eighths of them are full. So after it has grown, seven sixteenths of its slots are full. A slot
/// has 16 bytes and one control byte.
#[cfg(test)]
const BYTES_A_KEY_MAX: usize = 40;

/// The result of a check. It is `#[must_use]` because a check whose result is ignored limits
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Limits are off (`rate_limit.enabled = false`). The response has no limit headers.
    Unlimited,
    /// The request is allowed. [`Limiter::check`] has taken one unit from each bucket.
    /// [`Limiter::look`] has taken nothing.
    Allowed(Headers),
    /// The request is refused, and nothing was taken from a bucket.
    Limited {
        /// The headers of the policy with the longest wait.
        headers: Headers,
        /// The value of `Retry-After`: the client can send the request again after this many
        /// seconds. At least 1.
        retry_after_s: u64,
    },
}

/// The values of the headers `RateLimit` and `RateLimit-Policy`. If a check has several policies,
/// the headers describe the policy whose bucket has the fewest units left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// The policy's name: lower-case letters, digits and hyphens.
    pub policy_name: &'static str,
    /// The capacity of the bucket, in requests.
    pub quota: u32,
    /// How many seconds an empty bucket takes to fill.
    pub window_s: u64,
    /// How many requests the bucket can still admit now.
    pub remaining: u32,
    /// After this many seconds, rounded up, the bucket is full again if nothing more is taken from
    /// it.
    pub reset_s: u64,
}

impl Headers {
    /// The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers §3), for example
    /// `"login";q=10;w=60`.
    pub fn rate_limit_policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.policy_name, self.quota, self.window_s)
    }

    /// The value of `RateLimit` (§4 of the same draft), for example `"login";r=9;t=6`.
    pub fn rate_limit(&self) -> String {
        format!("\"{}\";r={};t={}", self.policy_name, self.remaining, self.reset_s)
    }
}

/// The limiter of one process. It is shared behind an `Arc`. Every method takes `&self` and blocks
/// only while it holds a lock for a short time.
#[derive(Debug)]
pub struct Limiter {
    /// None if limits are off.
    policies: Option<Policies>,
}

#[derive(Debug)]
struct Policies {
    elapsed: Elapsed,
    census: Arc<Census>,
    hasher: RandomState,
    /// The buckets of each action. The index is `Action as usize`.
    actions: Vec<Buckets>,
    refresh: Vec<Policy>,
    device: Vec<Policy>,
}

/// The policies of an action. `narrow` limits an IPv4 /32 or an IPv6 /64, and `wide` limits an IPv6
/// /48.
#[derive(Debug)]
struct Buckets {
    narrow: Vec<Policy>,
    wide: Vec<Policy>,
}

#[derive(Debug)]
struct Policy {
    name: &'static str,
    burst: u32,
    /// The time in which a bucket regains one unit.
    interval: Duration,
    limiter: RateLimiter<Probe, Table, Elapsed, StateInformationMiddleware>,
}

impl Limiter {
    /// Creates a limiter. If `clock` is the system's clock, the limiter uses the monotonic time of
    /// the machine. If `clock` is a test's clock, the limiter follows that clock. `enabled` is the
    /// setting `rate_limit.enabled`.
    pub fn new(clock: Clock, enabled: bool) -> Self {
        Self::with_keys_max(clock, enabled, KEYS_MAX)
    }

    pub(super) fn with_keys_max(clock: Clock, enabled: bool, keys_max: usize) -> Self {
        Self { policies: enabled.then(|| Policies::new(clock, keys_max)) }
    }

    /// Checks whether a client at `ip` may do `action` now. If it may, the check takes one unit
    /// from each of the client's buckets.
    ///
    /// An IPv4 address mapped into IPv6 counts as the IPv4 address. The check first reads all
    /// buckets and then takes from them, so a refused request takes nothing. There is one
    /// exception: two requests can race for the last unit. Then the second request can take a unit
    /// from one bucket and be refused by the next bucket.
    pub fn check(&self, action: Action, ip: IpAddr) -> Decision {
        self.ask(action, ip, Mode::Spend)
    }

    /// The same check as [`Limiter::check`], but it takes nothing. It is for actions whose failures
    /// count and whose successes do not.
    pub fn look(&self, action: Action, ip: IpAddr) -> Decision {
        self.ask(action, ip, Mode::Look)
    }

    /// The state of every limit of a client IP address, for operators. Nothing is taken from the
    /// limits.
    pub fn states(&self, ip: IpAddr) -> Vec<Decision> {
        Action::ALL.into_iter().map(|action| self.look(action, ip)).collect()
    }

    /// Does the work of [`Limiter::check`] or of [`Limiter::look`]. `mode` decides which.
    pub(super) fn ask(&self, action: Action, ip: IpAddr, mode: Mode) -> Decision {
        let Some(policies) = &self.policies else { return Decision::Unlimited };
        let Buckets { narrow, wide } = &policies.actions[action as usize];
        let (near, far) = (ClientKey::narrow(ip), ClientKey::wide(ip));
        let source = policies.hasher.hash_one(near);
        let narrow = narrow.iter().map(|policy| (policy, source));
        // An IPv4 address has only one key, so it has no wide buckets.
        if near == far {
            return policies.decide(narrow, mode);
        }
        let source = policies.hasher.hash_one(far);
        policies.decide(narrow.chain(wide.iter().map(|policy| (policy, source))), mode)
    }

    /// Checks whether the session `sid` may refresh now. A session may refresh 60 times a minute.
    pub fn check_session(&self, sid: &str) -> Decision {
        let Some(policies) = &self.policies else { return Decision::Unlimited };
        let source = policies.hasher.hash_one(("sid", sid));
        policies.decide(policies.refresh.iter().map(|policy| (policy, source)), Mode::Spend)
    }

    /// Checks whether a password may be verified for the known device `id` now. A device may send
    /// 10 passwords a minute and 100 an hour. [`Mode::Spend`] takes one unit from each bucket of
    /// the device. [`Mode::Look`] takes nothing, so an attempt that the back-off refuses takes
    /// nothing from these buckets.
    pub(super) fn ask_device(&self, id: &str, mode: Mode) -> Decision {
        let Some(policies) = &self.policies else { return Decision::Unlimited };
        let source = policies.hasher.hash_one(("device", id));
        policies.decide(policies.device.iter().map(|policy| (policy, source)), mode)
    }

    /// The size of all maps in bytes. The function consumes the limiter, because governor returns a
    /// table only when its rate limiter is consumed.
    #[cfg(test)]
    fn into_bytes(self) -> usize {
        let Some(policies) = self.policies else { return 0 };
        let buckets =
            policies.actions.into_iter().flat_map(|it| it.narrow.into_iter().chain(it.wide));
        let by_name = policies.refresh.into_iter().chain(policies.device);
        buckets.chain(by_name).map(|it| it.limiter.into_state_store().bytes()).sum()
    }

    /// Removes the buckets that have been full for one interval and frees their memory. Returns how
    /// many buckets are left. The admission worker calls this function.
    pub fn sweep(&self) -> usize {
        let Some(policies) = &self.policies else { return 0 };
        let buckets = policies.actions.iter().flat_map(|it| it.narrow.iter().chain(&it.wide));
        for policy in buckets.chain(&policies.refresh).chain(&policies.device) {
            policy.limiter.retain_recent();
            policy.limiter.shrink_to_fit();
        }
        policies.census.live.load(Ordering::Relaxed)
    }
}

impl Policies {
    fn new(clock: Clock, keys_max: usize) -> Self {
        let elapsed = Elapsed::new(clock);
        let census = Arc::new(Census { live: AtomicUsize::new(0), keys_max });
        let narrow = |window: &Window| {
            Policy::new(window.name, window.burst, window.full_after, &elapsed, &census)
        };
        let wide = |window: &Window| {
            let burst = window.burst * WIDE_FACTOR;
            Policy::new(window.wide_name, burst, window.full_after, &elapsed, &census)
        };
        let buckets = |action: Action| Buckets {
            narrow: action.windows().iter().map(narrow).collect(),
            wide: action.windows().iter().map(wide).collect(),
        };
        let actions = Action::ALL.into_iter().map(buckets).collect();
        let refresh = vec![narrow(&REFRESH)];
        let device = DEVICE.iter().map(narrow).collect();
        Self { elapsed, census, hasher: RandomState::new(), actions, refresh, device }
    }

    fn decide<'a>(
        &self,
        buckets: impl Iterator<Item = (&'a Policy, Source)> + Clone,
        mode: Mode,
    ) -> Decision {
        // One bucket alone refuses a request without taking anything, so it is asked only once.
        if mode == Mode::Spend && buckets.clone().nth(1).is_none() {
            return self.ask(buckets, mode);
        }
        let look = self.ask(buckets.clone(), Mode::Look);
        if mode == Mode::Look || matches!(look, Decision::Limited { .. }) {
            return look;
        }
        self.ask(buckets, mode)
    }

    /// Checks every bucket. If a bucket refuses, the function returns the refusal with the longest
    /// wait. Otherwise it returns the state of the bucket that has the fewest units left.
    fn ask<'a>(&self, buckets: impl Iterator<Item = (&'a Policy, Source)>, mode: Mode) -> Decision {
        let mut refused: Option<(Duration, &Policy)> = None;
        let mut tightest: Option<Headers> = None;
        for (policy, source) in buckets {
            match policy.limiter.check_key(&Probe { source, mode }) {
                Ok(state) => {
                    // governor reports the number of units that are left after one is taken. A read
                    // takes no unit, so one is added.
                    let untaken = u32::from(mode == Mode::Look);
                    let headers = policy.headers(state.remaining_burst_capacity() + untaken);
                    if tightest.is_none_or(|least| headers.remaining < least.remaining) {
                        tightest = Some(headers);
                    }
                }
                Err(refusal) => {
                    let wait = wait(&refusal, self.elapsed.now());
                    if refused.is_none_or(|(longest, _)| wait > longest) {
                        refused = Some((wait, policy));
                    }
                }
            }
        }
        match (refused, tightest) {
            (Some((wait, policy)), _) => Decision::Limited {
                headers: policy.headers(0),
                retry_after_s: seconds_up(wait).max(1),
            },
            (None, Some(headers)) => Decision::Allowed(headers),
            (None, None) => Decision::Unlimited,
        }
    }
}

impl Policy {
    fn new(
        name: &'static str,
        burst: u32,
        full_after: Duration,
        elapsed: &Elapsed,
        census: &Arc<Census>,
    ) -> Self {
        let interval = full_after / burst;
        let limiter = RateLimiter::new(
            quota(burst, full_after),
            Table::new(Arc::clone(census)),
            elapsed.clone(),
        );
        Self { name, burst, interval, limiter }
    }

    fn headers(&self, remaining: u32) -> Headers {
        Headers {
            policy_name: self.name,
            quota: self.burst,
            window_s: seconds_up(self.interval * self.burst),
            remaining,
            reset_s: seconds_up(self.interval * (self.burst - remaining)),
        }
    }
}

/// governor's quota for a bucket that holds `burst` units and fills within `full_after`. `burst` is
/// at least 1, and `full_after` is more than 0.
pub(super) fn quota(burst: u32, full_after: Duration) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(full_after / burst.get())
        .unwrap_or_else(|| Quota::per_second(burst))
        .allow_burst(burst)
}

/// The duration in whole seconds, rounded up.
pub(super) fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "limiter_memory_tests.rs"]
mod memory_tests;
