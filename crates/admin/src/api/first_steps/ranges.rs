//! Addresses of the fifth step. Where one word lets a network send, only networks are taken that
//! can be an organisation's own: a wide range of public addresses is other people's.

use ipnet::IpNet;

use relais_policy::document::parse_network;

use crate::problem::Problem;

/// Widest public networks: what a provider gives to one customer.
const PUBLIC_V4_PREFIX_MIN: u8 = 24;
const PUBLIC_V6_PREFIX_MIN: u8 = 64;

/// An address or a network, as it was typed.
pub(super) fn read(text: &str) -> Result<IpNet, Problem> {
    let range =
        parse_network(text.trim()).map_err(|error| Problem::bad_request(format!("{error}.")))?;
    let least = match range {
        IpNet::V4(_) => PUBLIC_V4_PREFIX_MIN,
        IpNet::V6(_) => PUBLIC_V6_PREFIX_MIN,
    };
    if range.prefix_len() < least && !is_inside(&range) {
        let detail = format!(
            "\"{range}\" reaches beyond your network, and whoever is in it could send as your \
             domain: type the addresses of your devices, or a public network of /{least} at most."
        );
        return Err(Problem::bad_request(detail));
    }
    Ok(range)
}

/// Whether it lies wholly in private, shared, link-local or loopback space.
fn is_inside(range: &IpNet) -> bool {
    match range {
        IpNet::V4(range) => [
            ([10, 0, 0, 0], 8),
            ([172, 16, 0, 0], 12),
            ([192, 168, 0, 0], 16),
            ([100, 64, 0, 0], 10),
            ([169, 254, 0, 0], 16),
            ([127, 0, 0, 0], 8),
        ]
        .into_iter()
        .filter_map(|(octets, length)| ipnet::Ipv4Net::new(octets.into(), length).ok())
        .any(|inside| inside.contains(range)),
        IpNet::V6(range) => range.addr().is_unique_local() && range.prefix_len() >= 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_cannot_be_ones_own_is_refused() {
        for text in [
            "0.0.0.0/0",
            "::/0",
            "8.0.0.0/8",
            "198.51.100.0/23",
            "2001:db8::/48",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        for text in [
            " 10.0.0.0/8 ",
            "192.168.0.0/16",
            "198.51.100.7",
            "198.51.100.0/24",
            "2001:db8:1::/64",
            "fd00::/8",
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
        assert!(read("9.0.0.0/7").is_err(), "half of it is not private");
    }
}
