//! Addresses as old relays write them: `10.1.2.9`, `10.1.2.0/24`, `10.1.2.0/255.255.255.0`,
//! `10.1.2.0(255.255.255.0)`, `10.1.2.1-10.1.2.20`, `[2001:db8::]/64`; and whether such a range may
//! be taken over.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use crate::document::parse_network;
use crate::range::{is_private_address, special_address};
use crate::settings::Mode;

/// Addresses of a closed network that are taken over at most: a /8, a /48 of IPv6.
const CLOSED_BITS_MAX: (u32, u32) = (24, 80);
/// More than these are worth a second look: a /16.
const WIDE_BITS: (u32, u32) = (16, 80);
/// Addresses of the internet that are taken over at most: a /24, a /64 of IPv6.
const PUBLIC_BITS_MAX: (u32, u32) = (8, 64);

/// Both ends included, of one family, canonical.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Range {
    first: IpAddr,
    last: IpAddr,
}

/// What may become of a range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// It is taken over as it is.
    Taken,
    /// The same, and it is wide.
    Wide,
    /// The machine itself.
    Loopback,
    /// Every address there is.
    Everybody,
    /// It reaches beyond a closed network, and is not small.
    TooWide,
    /// In hosted mode: it says nothing of who sends.
    Special,
}

impl Range {
    /// `None`: it is none of the forms.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((first, last)) = text.split_once('-') {
            return Self::new(address(first)?, address(last)?);
        }
        let text = match text.split_once('(') {
            Some((base, mask)) => format!("{}/{}", base.trim(), mask.strip_suffix(')')?.trim()),
            None => text.to_owned(),
        };
        let (base, length) = match text.split_once('/') {
            Some((base, length)) => (base, Some(length.trim())),
            None => (text.as_str(), None),
        };
        let base = base.trim().trim_start_matches('[').trim_end_matches(']');
        let Some(length) = length else {
            let only = address(base)?;
            return Self::new(only, only);
        };
        let masked = length.parse::<IpAddr>().ok();
        let masked = masked.map(|mask| ipnet::ip_mask_to_prefix(mask).ok());
        let length = match masked {
            Some(prefix) => prefix?.to_string(),
            None => length.to_owned(),
        };
        let network = parse_network(&format!("{base}/{length}")).ok()?;
        Self::new(network.network(), network.broadcast())
    }

    fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let is_one_family = first.is_ipv4() == last.is_ipv4();
        (is_one_family && first <= last).then_some(Self { first, last })
    }

    /// The fewest networks that hold exactly these addresses: at most 254.
    pub(super) fn networks(&self) -> Vec<IpNet> {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
        }
    }

    /// Whether it and a network have an address in common.
    pub(super) fn meets(&self, network: &IpNet) -> bool {
        self.first <= network.broadcast() && self.last >= network.network()
    }

    /// Whether it holds more addresses than there are in so many bits, of IPv4 and of IPv6.
    fn is_more_than(&self, (four, six): (u32, u32)) -> bool {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                u64::from(last.to_bits()) - u64::from(first.to_bits()) >= 1 << four
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => last.to_bits() - first.to_bits() >= 1 << six,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => true,
        }
    }

    pub(super) fn fate(&self, mode: Mode) -> Fate {
        if self.first.is_loopback() && self.last.is_loopback() {
            return Fate::Loopback;
        }
        if self.networks().iter().any(|one| one.prefix_len() == 0) {
            return Fate::Everybody;
        }
        let is_closed = is_private_address(self.first)
            && is_private_address(self.last)
            && special_address(self.first) == special_address(self.last)
            && !self.is_more_than(CLOSED_BITS_MAX);
        if mode == Mode::Hosted && special_address(self.first).is_some() {
            return Fate::Special;
        }
        match is_closed {
            true if self.is_more_than(WIDE_BITS) => Fate::Wide,
            true => Fate::Taken,
            false if self.is_more_than(PUBLIC_BITS_MAX) => Fate::TooWide,
            false => Fate::Taken,
        }
    }
}

/// An address without brackets and zone.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    let bare = text.split('%').next().unwrap_or_default();
    bare.parse::<IpAddr>().ok().map(|one| one.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_every_form_and_cut_into_networks_exactly() {
        for (text, networks) in [
            ("10.1.2.9", "10.1.2.9/32"),
            ("10.1.2.9/24", "10.1.2.0/24"),
            ("10.1.2.0/255.255.255.0", "10.1.2.0/24"),
            ("10.1.2.0 (255.255.255.240)", "10.1.2.0/28"),
            (
                "10.0.0.1-10.0.0.9",
                "10.0.0.1/32 10.0.0.2/31 10.0.0.4/30 10.0.0.8/31",
            ),
            ("0.0.0.0-255.255.255.255", "0.0.0.0/0"),
            ("[2001:db8::]/64", "2001:db8::/64"),
            ("[2001:db8::1]", "2001:db8::1/128"),
            ("fe80::1%3", "fe80::1/128"),
            ("::ffff:10.1.2.9", "10.1.2.9/32"),
            ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
        ] {
            let range = Range::parse(text).unwrap_or_else(|| panic!("{text}"));
            let all: Vec<_> = range.networks().iter().map(ToString::to_string).collect();
            assert_eq!(all.join(" "), networks, "{text}");
        }
        for text in [
            "",
            "-",
            "printer",
            "10.1.2",
            "10.0.0.9-10.0.0.1",
            "10.0.0.1-::1",
            "10.1.2.0/33",
            "10.1.2.0/255.0.255.0",
            "10.1.2.0(255.255.255.0",
        ] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_reaches_beyond_a_closed_network_is_not_taken_over() {
        for (text, lan, hosted) in [
            ("10.1.2.0/24", Fate::Taken, Fate::Special),
            ("10.0.0.0/8", Fate::Wide, Fate::Special),
            ("10.0.0.0-11.0.0.0", Fate::TooWide, Fate::Special),
            ("172.16.0.0/12", Fate::Wide, Fate::Special),
            ("8.8.8.0/24", Fate::Taken, Fate::Taken),
            ("8.8.8.0/23", Fate::TooWide, Fate::TooWide),
            ("127.0.0.0/8", Fate::Loopback, Fate::Loopback),
            ("::1", Fate::Loopback, Fate::Loopback),
            ("0.0.0.0/0", Fate::Everybody, Fate::Everybody),
            ("0.0.0.0-255.255.255.255", Fate::Everybody, Fate::Everybody),
            ("::/0", Fate::Everybody, Fate::Everybody),
            ("0.0.0.1-255.255.255.255", Fate::TooWide, Fate::Special),
            ("192.168.0.0-223.255.255.255", Fate::TooWide, Fate::Special),
            ("2620:4f:8000::/64", Fate::Taken, Fate::Taken),
            ("2620:4f:8000::/48", Fate::TooWide, Fate::TooWide),
            ("fd00::/48", Fate::Taken, Fate::Special),
        ] {
            let range = Range::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(range.fate(Mode::Lan), lan, "{text}");
            assert_eq!(range.fate(Mode::Hosted), hosted, "{text}");
        }
    }
}
