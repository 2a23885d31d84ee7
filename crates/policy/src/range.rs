//! Address ranges that are not the public internet: IANA's special-purpose registries (RFC 6890),
//! multicast, and IPv6 forms that carry an IPv4 address within.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn four(a: u8, b: u8, c: u8, d: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn six(bits: u128, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), length))
}

/// Each range with the word for it.
const SPECIAL: [(IpNet, &str); 30] = [
    (four(0, 0, 0, 0, 8), "unspecified"),
    (four(10, 0, 0, 0, 8), "private"),
    (four(100, 64, 0, 0, 10), "shared by carriers (CGNAT)"),
    (four(127, 0, 0, 0, 8), "loopback"),
    (four(169, 254, 0, 0, 16), "link-local"),
    (four(172, 16, 0, 0, 12), "private"),
    (four(192, 0, 0, 0, 24), "reserved"),
    (four(192, 0, 2, 0, 24), "documentation"),
    (four(192, 168, 0, 0, 16), "private"),
    (four(198, 18, 0, 0, 15), "benchmarking"),
    (four(198, 51, 100, 0, 24), "documentation"),
    (four(203, 0, 113, 0, 24), "documentation"),
    (four(224, 0, 0, 0, 4), "multicast"),
    (four(240, 0, 0, 0, 4), "reserved"),
    (six(1, 128), "loopback"),
    (six(0, 96), "unspecified"),
    (six(0xffff << 32, 96), "IPv4-mapped"),
    (six(0x0064_ff9b_0001 << 80, 48), "translation (NAT64)"),
    (six(0x0100 << 112, 64), "discard-only"),
    (six(0x2001 << 112, 32), "tunnel (Teredo)"),
    (six(0x2001_0002 << 96, 48), "benchmarking"),
    (six(0x2001_0010 << 96, 28), "reserved"),
    (six(0x2001_0020 << 96, 28), "reserved"),
    (six(0x2001_0db8 << 96, 32), "documentation"),
    (six(0x3fff << 112, 20), "documentation"),
    (six(0x5f00 << 112, 16), "reserved"),
    (six(0xfc00 << 112, 7), "private"),
    (six(0xfe80 << 112, 10), "link-local"),
    (six(0xfec0 << 112, 10), "private"),
    (six(0xff00 << 112, 8), "multicast"),
];

/// Wider than the widest closed network, 10.0.0.0/8, and than what a provider has of IPv6.
pub(crate) fn is_nearly_everybody(network: &IpNet) -> bool {
    match network {
        IpNet::V4(four) => four.prefix_len() < 8,
        IpNet::V6(six) => six.prefix_len() < 32,
    }
}

/// The word for the special range that a network lies in or touches; `None` for public ones.
pub(crate) fn special_network(network: &IpNet) -> Option<&'static str> {
    SPECIAL
        .iter()
        .find(|(special, _)| special.contains(network) || network.contains(special))
        .map(|(_, word)| *word)
}

/// The word for the special range that an address lies in; `None` for public ones. An IPv4 address
/// within an IPv6 one (mapped, NAT64, 6to4) counts as itself.
pub(crate) fn special_address(address: IpAddr) -> Option<&'static str> {
    let address = carried(address);
    SPECIAL
        .iter()
        .find(|(special, _)| special.contains(&address))
        .map(|(_, word)| *word)
}

/// Whether an address belongs to a closed network: private, loopback, link-local.
pub fn is_private_address(address: IpAddr) -> bool {
    matches!(
        special_address(address),
        Some("private" | "loopback" | "link-local")
    )
}

/// The IPv4 address that an IPv6 one carries, where it is delivered to it in the end.
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address.to_canonical() else {
        return address.to_canonical();
    };
    let bits = six.to_bits();
    let low = |bits: u128| Ipv4Addr::from_bits(u32::try_from(bits & 0xffff_ffff).unwrap_or(0));
    // RFC 6052 §2.1 and RFC 3056 §2.
    match bits {
        _ if bits >> 32 == 0x0064_ff9b << 64 => IpAddr::V4(low(bits)),
        _ if bits >> 112 == 0x2002 => IpAddr::V4(low(bits >> 80)),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_told_from_public_ones() {
        for (address, word) in [
            ("10.1.2.3", Some("private")),
            ("172.31.255.255", Some("private")),
            ("172.32.0.1", None),
            ("192.168.0.1", Some("private")),
            ("100.64.0.1", Some("shared by carriers (CGNAT)")),
            ("100.128.0.1", None),
            ("127.0.0.1", Some("loopback")),
            ("0.0.0.0", Some("unspecified")),
            ("169.254.1.1", Some("link-local")),
            ("192.0.2.1", Some("documentation")),
            ("198.51.100.7", Some("documentation")),
            ("203.0.113.9", Some("documentation")),
            ("198.19.0.1", Some("benchmarking")),
            ("224.0.0.1", Some("multicast")),
            ("255.255.255.255", Some("reserved")),
            ("192.175.48.1", None),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("::ffff:10.0.0.1", Some("private")),
            ("::ffff:192.175.48.1", None),
            ("64:ff9b::10.0.0.1", Some("private")),
            ("64:ff9b::192.175.48.1", None),
            ("64:ff9b:1::1", Some("translation (NAT64)")),
            ("2002:a00:1::1", Some("private")),
            ("2002:c0af:3001::1", None),
            ("2001:db8::1", Some("documentation")),
            ("3fff::1", Some("documentation")),
            ("2001::1", Some("tunnel (Teredo)")),
            ("fd00::1", Some("private")),
            ("fe80::1", Some("link-local")),
            ("ff02::1", Some("multicast")),
            ("2620:4f:8000::1", None),
        ] {
            assert_eq!(special_address(address.parse().unwrap()), word, "{address}");
        }
    }

    #[test]
    fn a_network_that_holds_a_special_range_is_special_itself() {
        for (network, word) in [
            ("0.0.0.0/0", Some("unspecified")),
            ("8.0.0.0/5", Some("private")),
            ("10.1.2.0/24", Some("private")),
            ("192.175.48.0/24", None),
            ("::/0", Some("loopback")),
            ("2001:db8::/64", Some("documentation")),
            ("2620:4f:8000::/64", None),
        ] {
            assert_eq!(
                special_network(&network.parse().unwrap()),
                word,
                "{network}"
            );
        }
    }
}
