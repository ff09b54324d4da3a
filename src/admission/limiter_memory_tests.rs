//! Tests of the memory that `limiter.rs` and `table.rs` use.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

/// Offers 1 020 000 keys of each kind to a limiter that has the real maximum number of keys.
#[test]
fn a_million_clients_fill_the_table_and_no_more_memory() {
    let fill = |name: &str, check: &dyn Fn(&Limiter, u128) -> Decision| {
        let limiter = Limiter::new(Clock::manual(0), true);
        for at in 0..KEYS_MAX as u128 + 20_000 {
            assert_ne!(check(&limiter, at), Decision::Unlimited);
        }
        assert_eq!(limiter.sweep(), KEYS_MAX, "{name}: nobody is full yet");
        let (bytes, bound) = (limiter.into_bytes(), KEYS_MAX * BYTES_A_KEY_MAX);
        assert!(bytes <= bound, "{name}: {bytes} bytes, {bound} at most");
    };
    fill("IPv4 /32", &|limiter, at| {
        let address = Ipv4Addr::from_bits(0x0B00_0000 + u32::try_from(at).unwrap());
        limiter.check(Action::Forgot, IpAddr::V4(address))
    });
    // Each key is a different /64. Sixteen of these /64s share a /48.
    fill("IPv6 /64", &|limiter, at| {
        let bits = (0x2001_0DB8_u128 << 96) | ((at / 16) << 80) | ((at % 16) << 64);
        limiter.check(Action::Forgot, IpAddr::V6(Ipv6Addr::from_bits(bits)))
    });
    fill("IPv6 /48", &|limiter, at| {
        let bits = (0x2001_0DB8_u128 << 96) | (at << 80);
        limiter.check(Action::Forgot, IpAddr::V6(Ipv6Addr::from_bits(bits)))
    });
    fill("sessions", &|limiter, at| limiter.check_session(&at.to_string()));
}

#[test]
fn what_is_forgotten_gives_its_memory_back() {
    let clock = Clock::manual(0);
    let limiter = Limiter::new(clock.clone(), true);
    for at in 0..100_000 {
        let _one = limiter.check(Action::Forgot, IpAddr::V4(Ipv4Addr::from_bits(at)));
    }
    clock.advance(Duration::from_hours(48));
    assert_eq!(limiter.sweep(), 0);
    let bytes = limiter.into_bytes();
    assert!(bytes < 10_000, "{bytes}");
}
