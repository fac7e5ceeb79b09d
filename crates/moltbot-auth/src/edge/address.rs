//! Which addresses an untrusted URL may lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who is behind an address, from whom anybody may ask to whom nobody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Anybody may.
    Public,
    /// This machine or a network that is not everyone's: only where its place is named.
    Private,
    /// Link-local, and where clouds hand out credentials: only where the address itself is named.
    Sensitive,
    /// Nothing honest is there: several at once, nobody, or another address in disguise.
    Never,
}

/// Addresses of metadata services that lie among ordinary ones.
const METADATA: [Ipv4Addr; 3] = [
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Who is behind `ip`, however it is written.
pub(super) fn reach(ip: IpAddr) -> Reach {
    match ip.to_canonical() {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    if METADATA.contains(&ip) {
        return Reach::Sensitive;
    }
    match ip.octets() {
        [127 | 10, ..] | [192, 168, ..] => Reach::Private,
        [172, 16..=31, ..] | [100, 64..=127, ..] => Reach::Private,
        [169, 254, ..] => Reach::Sensitive,
        // "this network", protocol assignments, 6to4 relays, documentation, benchmarks
        [0, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] => Reach::Never,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Never,
        // multicast, reserved, broadcast
        [224..=255, ..] => Reach::Never,
        _ => Reach::Public,
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    if METADATA_V6.contains(&ip) {
        return Reach::Sensitive;
    }
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        // NAT64 stands for the address within it; its local-use prefix for anything.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => reach_v4(embedded(high, low)),
        [0xfc00..=0xfdff, ..] => Reach::Private,
        [0xfe80..=0xfebf, ..] => Reach::Sensitive,
        // protocol assignments with Teredo, benchmarks and ORCHID; documentation; 6to4
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] => Reach::Never,
        [0x3fff, 0..=0xfff, ..] => Reach::Never,
        // ISATAP, which carries an address of IPv4 within a network of IPv6
        [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, high, low] => reach_v4(embedded(high, low)),
        [0x2000..=0x3fff, ..] => Reach::Public,
        // Nothing else is routed to everyone: compatible and translated forms, multicast, site-local.
        _ => Reach::Never,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}
