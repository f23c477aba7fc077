//! Which addresses of the network a call to a place that a user named may reach: those of the public internet, and networks that the operator
//! lists. Everything else (this machine, the cluster, link-local and metadata addresses, and their forms inside of IPv6) is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address lies in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => is_in_v4(address, base, self.bits),
            (IpAddr::V6(base), IpAddr::V6(address)) => is_in_v6(address, base, self.bits),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network such as 10.20.0.0/16 or fd00:20::/32");
        let (base, bits) = text.split_once('/').ok_or_else(wrong)?;
        let (base, bits): (IpAddr, u8) = (base.parse().map_err(|_| wrong())?, bits.parse().map_err(|_| wrong())?);
        if bits > if base.is_ipv4() { 32 } else { 128 } {
            return Err(wrong());
        }
        Ok(Self { base, bits })
    }
}

/// Networks of IPv4 that are no places of the public internet, with what they are.
const CLOSED_V4: &[(Ipv4Addr, u8, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "unspecified"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a provider (CGNAT)"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "this machine (loopback)"),
    // With 169.254.169.254, where clouds answer with credentials.
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "reserved (6to4)"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "for documentation"),
    // Public by its number, but inside every virtual machine of Azure.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's own (metadata)"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

const fn v6(a: u16, b: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)
}

/// Networks within the global unicast space of IPv6 (`2000::/3`) that are no places of the public internet.
const CLOSED_V6: &[(Ipv6Addr, u8, &str)] = &[
    (v6(0x2001, 0), 32, "a tunnel (Teredo)"),
    (v6(0x2001, 2), 48, "for benchmarks"),
    (v6(0x2001, 0x10), 28, "no place (ORCHID)"),
    (v6(0x2001, 0x20), 28, "no place (ORCHID)"),
    (v6(0x2001, 0x0db8), 32, "for documentation"),
    (v6(0x2002, 0), 16, "a tunnel (6to4)"),
    (v6(0x3fff, 0), 20, "for documentation"),
];

/// Why a call may not go to an address; `None` when it may.
///
/// ```
/// let refused = |text: &str| domain::address::refusal(text.parse().unwrap(), &[]).is_some();
/// assert!(refused("169.254.169.254") && refused("::ffff:127.0.0.1") && !refused("1.1.1.1"));
/// ```
#[must_use]
pub fn refusal(address: IpAddr, allowed: &[Network]) -> Option<&'static str> {
    let inner = match address {
        IpAddr::V6(address) => within(address).map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    if allowed.iter().any(|network| network.holds(address) || inner.is_some_and(|inner| network.holds(inner))) {
        return None;
    }
    match inner.unwrap_or(address) {
        IpAddr::V4(address) => CLOSED_V4.iter().find(|(base, bits, _)| is_in_v4(address, *base, *bits)).map(|(_, _, what)| *what),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    if is_in_v6(address, v6(0x2000, 0), 3) {
        return CLOSED_V6.iter().find(|(base, bits, _)| is_in_v6(address, *base, *bits)).map(|(_, _, what)| *what);
    }
    Some(match address.segments()[0] {
        _ if address.is_loopback() => "this machine (loopback)",
        _ if address.is_unspecified() => "unspecified",
        0xfc00..=0xfdff => "private",
        0xfe80..=0xfebf => "link-local",
        0xff00.. => "multicast",
        _ => "no public address",
    })
}

/// The IPv4 address that is reached through one of IPv6: mapped (`::ffff:0:0/96`), or by NAT64 (`64:ff9b::/96`), through which a cluster
/// without IPv4 reaches the public internet, so it counts as the address inside.
fn within(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if is_in_v6(address, v6(0x64, 0xff9b), 96) {
        let [.., a, b, c, d] = address.octets();
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    address.to_ipv4_mapped()
}

fn is_in_v4(address: Ipv4Addr, base: Ipv4Addr, bits: u8) -> bool {
    let shift = 32 - u32::from(bits);
    address.to_bits().checked_shr(shift) == base.to_bits().checked_shr(shift)
}

fn is_in_v6(address: Ipv6Addr, base: Ipv6Addr, bits: u8) -> bool {
    let shift = 128 - u32::from(bits);
    address.to_bits().checked_shr(shift) == base.to_bits().checked_shr(shift)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Addresses that no call of a user's may reach.
    const BAD: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.0.0.53",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::2",
        "::127.0.0.1",
        "::ffff:0.0.0.0",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:192.168.1.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "64:ff9b:1:fffe::7f00:1",
        "100::1",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fd12:3456::1",
        "fe80::1",
        "fe80::a9fe:a9fe",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ];

    const GOOD: &[&str] = &[
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "126.255.255.255",
        "128.0.0.1",
        "168.63.129.17",
        "172.15.255.255",
        "172.32.0.1",
        "192.167.255.255",
        "192.169.0.1",
        "198.17.255.255",
        "198.20.0.1",
        "223.255.255.255",
        "::ffff:1.1.1.1",
        "64:ff9b::8.8.8.8",
        "2001:4860:4860::8888",
        "2606:4700:4700::1111",
        "2a00:1450:4001:82b::200e",
    ];

    #[test]
    fn only_places_of_the_public_internet_are_reached() {
        for text in BAD {
            assert!(refusal(text.parse().unwrap(), &[]).is_some(), "{text} must be refused");
        }
        for text in GOOD {
            assert_eq!(refusal(text.parse().unwrap(), &[]), None, "{text} is public");
        }
        assert!(BAD.len() >= 40, "{}", BAD.len());
    }

    #[test]
    fn an_operator_may_open_a_network_and_nothing_beside_it() {
        let allowed = ["10.20.0.0/16", "fd00:20::/32", "127.0.0.1/32"].map(|text| text.parse::<Network>().unwrap());
        let refused = |text: &str| refusal(text.parse().unwrap(), &allowed).is_some();
        for text in ["10.20.0.1", "10.20.255.255", "::ffff:10.20.1.1", "64:ff9b::10.20.1.1", "fd00:20:1::1", "127.0.0.1"] {
            assert!(!refused(text), "{text}");
        }
        for text in ["10.21.0.1", "10.19.255.255", "fd00:21::1", "127.0.0.2", "::1", "169.254.169.254"] {
            assert!(refused(text), "{text}");
        }
        for wrong in ["10.20.0.0", "10.20.0.0/33", "10.20/16", "fd00::/129", "a/8", "/8", "10.0.0.0/-1", ""] {
            assert!(wrong.parse::<Network>().unwrap_err().contains("is no network"), "{wrong}");
        }
        assert!("0.0.0.0/0".parse::<Network>().unwrap().holds("1.2.3.4".parse().unwrap()), "all of IPv4");
    }
}
