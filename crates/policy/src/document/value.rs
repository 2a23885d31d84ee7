//! The values that people write in their own form: limits, numbers of octets, spans of time,
//! networks.
//!
//! Each reads a text or a number with a message that says what to write instead, and writes the
//! form that reads best. The visitors are written by hand: `serde(untagged)` would lose the cause.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Largest value of a [`Limit`]: a thousand times the yearly mail of a large provider's customer;
/// beyond it somebody mistyped.
pub const LIMIT_VALUE_MAX: u64 = 1_000_000_000_000;
/// Largest [`ByteCount`]: 1 TiB, above every limit that a relay can mean.
pub const BYTE_COUNT_MAX: u64 = 1 << 40;
/// Longest [`Span`] in seconds: 366 days, above every delay that a queue can mean.
pub const SPAN_SECONDS_MAX: u64 = 366 * 86_400;

/// `limits = { … }`, the same keys everywhere; an absent key is no limit.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Messages per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_per_minute: Option<Limit>,
    /// Recipients per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_hour: Option<Limit>,
    /// Recipients outside the accepted domains per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_recipients_per_hour: Option<Limit>,
    /// Recipients per sliding 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_day: Option<Limit>,
    /// Recipients never seen before, per sliding 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_recipients_per_day: Option<Limit>,
    /// Largest message in octets; `"25 MiB"` or a number. Enforced now; always hard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_size_max: Option<ByteCount>,
    /// Recipients of one message. Enforced now; always hard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_message: Option<u32>,
    /// Connections at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Limit>,
}

/// `n`, or `{ value = n, hard = true }`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    /// The number, 1 to [`LIMIT_VALUE_MAX`].
    pub value: u64,
    /// Refuses instead of slowing the queue.
    pub hard: bool,
}

/// A number of octets, written `"25 MiB"`, `"1 GiB"`, `"500 kB"` or as a plain number. At most
/// [`BYTE_COUNT_MAX`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ByteCount(pub u64);

/// A span of time, written `"90s"`, `"1m"`, `"4h"`, `"5d"`. In seconds, at most
/// [`SPAN_SECONDS_MAX`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Span(pub u64);

/// Why a text is no such value; the message says what to write.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

const OCTET_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];
const SPAN_UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

impl FromStr for ByteCount {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = || ValueError(format!("{text:?} is no size: write \"25 MiB\" or a number"));
        let (digits, unit) = split_number(text).ok_or_else(wrong)?;
        let factor = match unit {
            "" => 1,
            unit => OCTET_UNITS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))
                .map(|(_, factor)| *factor)
                .ok_or_else(wrong)?,
        };
        digits
            .checked_mul(factor)
            .ok_or_else(wrong)
            .and_then(Self::checked)
    }
}

impl ByteCount {
    fn checked(octets: u64) -> Result<Self, ValueError> {
        if octets > BYTE_COUNT_MAX {
            return Err(ValueError(format!(
                "{octets} octets are too many: at most 1024 GiB"
            )));
        }
        Ok(Self(octets))
    }
}

impl fmt::Display for ByteCount {
    /// In the largest binary unit that divides it, else in octets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 > 0 && self.0.is_multiple_of(factor) {
                return write!(formatter, "{} {unit}", self.0 / factor);
            }
        }
        write!(formatter, "{}", self.0)
    }
}

impl FromStr for Span {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = || {
            ValueError(format!(
                "{text:?} is no span of time: write a number with s, m, h or d, as in \"90s\" or \
                 \"4h\""
            ))
        };
        let (digits, unit) = split_number(text).ok_or_else(wrong)?;
        let factor = SPAN_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?
            .1;
        let seconds = digits.checked_mul(factor).ok_or_else(wrong)?;
        if seconds > SPAN_SECONDS_MAX {
            return Err(ValueError(format!("{text:?} is too long: at most 366d")));
        }
        Ok(Self(seconds))
    }
}

impl fmt::Display for Span {
    /// In the largest unit that divides it: `90s`, `1m`, `24h`. Days from two on, because `24h`
    /// reads better than `1d`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor, least) in [("d", 86_400, 2 * 86_400), ("h", 3_600, 1), ("m", 60, 1)] {
            if self.0 >= least && self.0.is_multiple_of(factor) {
                return write!(formatter, "{}{unit}", self.0 / factor);
            }
        }
        write!(formatter, "{}s", self.0)
    }
}

/// The number at the start of a text and the unit behind it. At most 15 digits.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    if end == 0 || end > 15 {
        return None;
    }
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hard {
            return write!(formatter, "{{ value = {}, hard = true }}", self.value);
        }
        write!(formatter, "{}", self.value)
    }
}

impl Limit {
    fn checked<E: de::Error>(value: u64, hard: bool) -> Result<Self, E> {
        if value > LIMIT_VALUE_MAX {
            return Err(E::custom(format_args!(
                "{value} is too many: at most {LIMIT_VALUE_MAX}"
            )));
        }
        Ok(Self { value, hard })
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // TOML numbers are signed; what was built in code beyond the bound is cut to it.
        let value = self.value.min(LIMIT_VALUE_MAX);
        if !self.hard {
            return serializer.serialize_u64(value);
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("value", &value)?;
        map.serialize_entry("hard", &true)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LimitVisitor)
    }
}

struct LimitVisitor;

impl<'de> Visitor<'de> for LimitVisitor {
    type Value = Limit;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, or { value = 60, hard = true }")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Limit, E> {
        Limit::checked(value, false)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Limit, E> {
        let value = u64::try_from(value)
            .map_err(|_| E::custom(format_args!("{value} is no limit: write 1 or more")))?;
        Limit::checked(value, false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Limit, A::Error> {
        let (mut value, mut hard) = (None, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "value" => value = Some(map.next_value::<u64>()?),
                "hard" => hard = map.next_value()?,
                other => return Err(de::Error::unknown_field(other, &["value", "hard"])),
            }
        }
        Limit::checked(
            value.ok_or_else(|| de::Error::missing_field("value"))?,
            hard,
        )
    }
}

impl Serialize for ByteCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bounded = Self(self.0.min(BYTE_COUNT_MAX));
        if bounded.0 == 0 || !bounded.0.is_multiple_of(1 << 10) {
            return serializer.serialize_u64(bounded.0);
        }
        serializer.collect_str(&bounded)
    }
}

impl<'de> Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ByteCountVisitor)
    }
}

struct ByteCountVisitor;

impl Visitor<'_> for ByteCountVisitor {
    type Value = ByteCount;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a size: \"25 MiB\" or a number of octets")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteCount, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, octets: u64) -> Result<ByteCount, E> {
        ByteCount::checked(octets).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, octets: i64) -> Result<ByteCount, E> {
        let octets = u64::try_from(octets)
            .map_err(|_| E::custom(format_args!("{octets} is no size: write \"25 MiB\"")))?;
        ByteCount::checked(octets).map_err(E::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Self(self.0.min(SPAN_SECONDS_MAX)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a span of time with its unit, as \"90s\", \"1m\", \"4h\" or \"5d\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(E::custom)
    }
}

/// Reads `10.1.2.9`, `10.1.2.0/24`, `2001:db8::/48`. Host bits are cleared (people write
/// `10.1.2.1/24`), IPv4-mapped IPv6 becomes IPv4, because peers are compared in that form.
pub fn parse_network(text: &str) -> Result<IpNet, ValueError> {
    let text = text.trim();
    let Some((address, length)) = text.split_once('/') else {
        let address = text.parse::<IpAddr>().map_err(|_| no_network(text))?;
        return Ok(IpNet::from(address.to_canonical()));
    };
    let address = address.parse::<IpAddr>().map_err(|_| no_network(text))?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let digits = (1..=3).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_digit());
    let length = match length.parse::<u8>() {
        Ok(length) if digits && length <= bits => length,
        Ok(_) | Err(_) => return Err(wrong_length(text, length, bits)),
    };
    match address.to_canonical() {
        IpAddr::V4(four) if address.is_ipv6() => {
            let Some(length) = length.checked_sub(96) else {
                return Err(ValueError(format!(
                    "{text:?} mixes IPv4 and IPv6: write the IPv4 network itself"
                )));
            };
            IpNet::new(IpAddr::V4(four), length)
        }
        canonical => IpNet::new(canonical, length),
    }
    .map(|network| network.trunc())
    .map_err(|_| no_network(text))
}

fn no_network(text: &str) -> ValueError {
    if text
        .split_once('-')
        .is_some_and(|(from, _)| from.trim().parse::<IpAddr>().is_ok())
    {
        return ValueError(format!(
            "{text:?} is a range: write it as networks, as in \"10.1.2.0/24\""
        ));
    }
    ValueError(format!(
        "{text:?} is no address or network: write \"10.1.2.9\", \"10.1.2.0/24\" or \
         \"2001:db8::/64\""
    ))
}

fn wrong_length(text: &str, length: &str, bits: u8) -> ValueError {
    let mask = length
        .parse::<IpAddr>()
        .ok()
        .and_then(|mask| ipnet::ip_mask_to_prefix(mask).ok());
    match (mask, text.split_once('/')) {
        (Some(prefix), Some((address, _))) => ValueError(format!(
            "{text:?} has a net mask: write \"{address}/{prefix}\""
        )),
        _ => ValueError(format!(
            "the prefix length of {text:?} is not a number from 0 to {bits}"
        )),
    }
}

/// As people write it: a single address bare, a network with its length.
pub fn write_network(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        return network.addr().to_string();
    }
    network.to_string()
}

/// `10.1.2.9` and `10.1.2.0/24` both read as networks; host addresses are written bare.
pub(super) mod networks {
    use ipnet::IpNet;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(
        networks: &[IpNet],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(networks.iter().map(super::write_network))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<IpNet>, D::Error> {
        let texts = Vec::<Network>::deserialize(deserializer)?;
        Ok(texts.into_iter().map(|network| network.0).collect())
    }

    /// One element, so that an error bears its place and not that of the whole list.
    struct Network(IpNet);

    impl<'de> Deserialize<'de> for Network {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            super::parse_network(&text)
                .map(Self)
                .map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_in_every_usual_form() {
        for (text, octets) in [
            ("25 MiB", 25 << 20),
            ("25MiB", 25 << 20),
            ("1 GiB", 1 << 30),
            ("500 kB", 500_000),
            ("500 KB", 500_000),
            ("64 KiB", 65_536),
            ("12 mb", 12_000_000),
            ("7", 7),
            ("7 B", 7),
        ] {
            assert_eq!(text.parse(), Ok(ByteCount(octets)), "{text}");
        }
        for text in [
            "",
            "MiB",
            "-1",
            "25 XiB",
            "1.5 MiB",
            "99999999999999999",
            "2048 GiB",
        ] {
            assert!(text.parse::<ByteCount>().is_err(), "{text}");
        }
        assert_eq!(ByteCount(25 << 20).to_string(), "25 MiB");
        assert_eq!(ByteCount(1_000).to_string(), "1000");
    }

    #[test]
    fn a_span_needs_its_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("1m", 60),
            ("24h", 86_400),
            ("5d", 432_000),
            ("1 h", 3_600),
        ] {
            assert_eq!(text.parse(), Ok(Span(seconds)), "{text}");
        }
        for text in ["", "60", "1w", "1M", "-1s", "h", "1h30m", "400d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        for (seconds, text) in [
            (0, "0s"),
            (90, "90s"),
            (60, "1m"),
            (86_400, "24h"),
            (432_000, "5d"),
        ] {
            assert_eq!(Span(seconds).to_string(), text);
        }
    }

    #[test]
    fn networks_are_normalised() {
        for (text, expected) in [
            ("10.1.2.9", "10.1.2.9/32"),
            ("10.1.2.9/24", "10.1.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:1::/64", "2001:db8:1::/64"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.77/120", "192.0.2.0/24"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(
                parse_network(text).map(|n| n.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wrong_network_says_what_to_write() {
        for (text, hint) in [
            ("10.1.2", "write \"10.1.2.9\""),
            ("printer.example", "write \"10.1.2.9\""),
            ("10.1.2.0/33", "0 to 32"),
            ("10.1.2.0/", "0 to 32"),
            ("10.1.2.0/+8", "0 to 32"),
            ("2001:db8::/129", "0 to 128"),
            ("10.1.2.0/255.255.255.0", "write \"10.1.2.0/24\""),
            ("10.1.2.1-10.1.2.20", "write it as networks"),
            ("::ffff:0:0/90", "IPv4 network itself"),
        ] {
            let message = parse_network(text).unwrap_err().to_string();
            assert!(message.contains(hint), "{text}: {message}");
        }
    }
}
