//! [`ClientKey`]: the part of an IP address by which limits, permits and queues identify a client.

use std::net::IpAddr;

/// An IPv4 address, or the prefix of an IPv6 address. An IPv4-mapped IPv6 address counts as the
/// IPv4 address that it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientKey {
    V4(u32),
    V6Of64(u64),
    V6Of48(u64),
}

impl ClientKey {
    /// The IPv4 address, or the /64 prefix of the IPv6 address. A provider usually gives one /64 to
    /// one client.
    pub fn narrow(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6Of64(high(ip)),
        }
    }

    /// The IPv4 address, or the /48 prefix of the IPv6 address. A client that controls a /48 has 65
    /// 536 narrow keys. So with narrow keys it could appear as 65 536 clients.
    pub fn wide(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6Of48(high(ip) >> 16),
        }
    }

    /// The wide key of an IP address as text. Empty for a text that is no IP address.
    pub fn wide_text(ip: &str) -> String {
        let Ok(ip) = ip.parse::<IpAddr>() else { return String::new() };
        match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => {
                let [a, b, c, ..] = ip.segments();
                format!("{a:x}:{b:x}:{c:x}::/48")
            }
        }
    }

    /// The bytes to compute a digest from: four bytes for an IPv4 address, eight bytes for an IPv6
    /// prefix.
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Self::V4(bits) => bits.to_be_bytes().to_vec(),
            Self::V6Of64(bits) | Self::V6Of48(bits) => bits.to_be_bytes().to_vec(),
        }
    }
}

fn high(ip: std::net::Ipv6Addr) -> u64 {
    u64::try_from(ip.to_bits() >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(ip: &str) -> (ClientKey, ClientKey) {
        let ip = ip.parse().unwrap();
        (ClientKey::narrow(ip), ClientKey::wide(ip))
    }

    #[test]
    fn an_ipv4_address_is_one_client_mapped_or_not() {
        let (narrow, wide) = both("192.0.2.1");
        assert_eq!(narrow, wide);
        assert_eq!(both("::ffff:192.0.2.1"), (narrow, wide));
        assert_ne!(both("192.0.2.2").0, narrow);
        assert_eq!(narrow.bytes(), [192, 0, 2, 1]);
    }

    #[test]
    fn an_ipv6_address_is_its_64_and_its_48() {
        let (narrow, wide) = both("2001:db8:1:2:3::4");
        assert_eq!(both("2001:db8:1:2:ffff::1"), (narrow, wide));
        let neighbour = both("2001:db8:1:3::1");
        assert!(neighbour.0 != narrow && neighbour.1 == wide);
        assert_ne!(both("2001:db8:2:2::1").1, wide);
        assert_eq!(narrow.bytes(), [0x20, 1, 0xd, 0xb8, 0, 1, 0, 2]);
        assert_eq!(ClientKey::wide_text("2001:db8:1:2::4"), "2001:db8:1::/48");
        assert_eq!(ClientKey::wide_text("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(ClientKey::wide_text("no address"), "");
    }
}
