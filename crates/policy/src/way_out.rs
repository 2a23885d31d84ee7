//! Ways for mail to leave, to choose from: what each can and needs, and which of them fit what was
//! found out about this server. Pure: (what is known) → the ways, the fitting ones first.
//!
//! Not here: what a connector of each begins with ([`crate::preset`]), finding things out.

use relais_smtp::domain::Domain;

use crate::document::{AuthMethod, OutboundConnector};

/// What was found out; `None`: nobody knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Others are reached on port 25.
    pub port_25: Option<bool>,
    /// Our address stays.
    pub fixed_address: Option<bool>,
    /// The exchangers of the organisation's domain: who has its mailboxes.
    pub exchangers: &'a [Domain],
}

/// Whom a way lets send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Senders {
    /// Any address of our domains.
    Any,
    /// One mailbox, and those it has Send-As for.
    Mailbox,
    /// Addresses and domains that the provider has verified.
    Verified,
}

/// How much a fixed address matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FixedAddress {
    /// Not at all.
    No,
    /// Mail arrives better.
    Better,
    /// It does not work without.
    Needed,
}

/// A row of the matrix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WayOut {
    /// The preset's name; `direct`: by MX, without a connector.
    pub name: &'static str,
    /// Who may send.
    pub senders: Senders,
    /// It goes out on port 25.
    pub needs_port_25: bool,
    /// Whether our address must stay.
    pub fixed_address: FixedAddress,
}

const fn way(
    name: &'static str,
    senders: Senders,
    needs_port_25: bool,
    fixed_address: FixedAddress,
) -> WayOut {
    WayOut {
        name,
        senders,
        needs_port_25,
        fixed_address,
    }
}

/// All of them. Port 25 is needed for connectors of Microsoft 365 too: they end at the tenant's MX.
const WAYS: [WayOut; 8] = [
    way("direct", Senders::Any, true, FixedAddress::Better),
    way(
        "microsoft-365-certificate",
        Senders::Any,
        true,
        FixedAddress::No,
    ),
    way(
        "microsoft-365-address",
        Senders::Any,
        true,
        FixedAddress::Needed,
    ),
    way(
        "microsoft-365-oauth",
        Senders::Mailbox,
        false,
        FixedAddress::No,
    ),
    way("google-relay", Senders::Any, false, FixedAddress::Better),
    way("amazon-ses", Senders::Verified, false, FixedAddress::No),
    way("smtp2go", Senders::Verified, false, FixedAddress::No),
    way("plain", Senders::Any, false, FixedAddress::No),
];

/// Whether a way can be used here.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fit {
    /// The provider has the domain's mailboxes already.
    Best,
    /// Nothing against it is known.
    Possible,
    /// Port 25 is closed on the way out.
    PortClosed,
    /// Our address changes.
    AddressChanges,
}

/// All ways with how they fit, the fitting ones first, else in their own order.
pub fn ways_out(known: &Known<'_>) -> Vec<(WayOut, Fit)> {
    let mut all: Vec<_> = WAYS.iter().map(|one| (*one, fit(one, known))).collect();
    all.sort_by_key(|(_, fit)| *fit);
    all
}

fn fit(way: &WayOut, known: &Known<'_>) -> Fit {
    if way.needs_port_25 && known.port_25 == Some(false) {
        return Fit::PortClosed;
    }
    if way.fixed_address == FixedAddress::Needed && known.fixed_address == Some(false) {
        return Fit::AddressChanges;
    }
    let ends: &[&str] = match way.name {
        "microsoft-365-certificate" | "microsoft-365-address" | "microsoft-365-oauth" => {
            &["mail.protection.outlook.com", "mx.microsoft"]
        }
        "google-relay" => &["google.com", "googlemail.com"],
        _ => &[],
    };
    let is_of = |exchanger: &Domain, end: &str| {
        let rest = exchanger.as_str().strip_suffix(end);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let is_home = known
        .exchangers
        .iter()
        .any(|one| ends.iter().any(|end| is_of(one, end)));
    if is_home { Fit::Best } else { Fit::Possible }
}

/// Which of the ways a connector is, by what it leads to.
pub fn way_of(connector: &OutboundConnector) -> &'static str {
    let leads_to = |end: &str| {
        let hosts = connector.smart_hosts.iter().chain([&connector.tls_domain]);
        let mut hosts = hosts.map(|host| host.split(':').next().unwrap_or_default());
        hosts.any(|host| host.ends_with(end))
    };
    let method = connector.auth.method;
    if leads_to("mail.protection.outlook.com") || leads_to("mx.microsoft") {
        return match method {
            AuthMethod::Certificate => "microsoft-365-certificate",
            AuthMethod::None | AuthMethod::Password | AuthMethod::Xoauth2 => {
                "microsoft-365-address"
            }
        };
    }
    let known = [
        ("smtp.office365.com", "microsoft-365-oauth"),
        ("smtp-relay.gmail.com", "google-relay"),
        ("amazonaws.com", "amazon-ses"),
        ("smtp2go.com", "smtp2go"),
    ];
    let found = known.iter().find(|(end, _)| leads_to(end));
    match found {
        Some((_, name)) => name,
        None if connector.smart_hosts.is_empty() && connector.tls_domain.is_empty() => "direct",
        None => "plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::outbound_presets;

    fn fits(known: &Known<'_>) -> Vec<(&'static str, Fit)> {
        let all = ways_out(known).into_iter();
        all.map(|(way, fit)| (way.name, fit)).collect()
    }

    #[test]
    fn a_closed_port_removes_what_needs_it_even_at_home() {
        let mx = [Domain::parse("contoso-com.mail.protection.outlook.com").unwrap()];
        let known = Known {
            port_25: Some(false),
            fixed_address: None,
            exchangers: &mx,
        };
        let all = fits(&known);
        assert_eq!(all[0], ("microsoft-365-oauth", Fit::Best));
        let closed = all.iter().filter(|(_, fit)| *fit == Fit::PortClosed);
        let closed: Vec<_> = closed.map(|(name, _)| *name).collect();
        let wanted = [
            "direct",
            "microsoft-365-certificate",
            "microsoft-365-address",
        ];
        assert_eq!(closed, wanted);
    }

    #[test]
    fn whoever_has_the_mailboxes_comes_first_and_an_address_that_changes_is_no_proof() {
        let mx = [Domain::parse("aspmx.l.google.com").unwrap()];
        let known = Known {
            port_25: Some(true),
            fixed_address: Some(false),
            exchangers: &mx,
        };
        let all = fits(&known);
        assert_eq!(all[0], ("google-relay", Fit::Best));
        assert_eq!(
            all.last(),
            Some(&("microsoft-365-address", Fit::AddressChanges))
        );
        let foreign = [Domain::parse("notgoogle.com.example").unwrap()];
        let known = Known {
            exchangers: &foreign,
            ..Known::default()
        };
        assert!(fits(&known).iter().all(|(_, fit)| *fit == Fit::Possible));
    }

    #[test]
    fn each_preset_is_a_way_and_its_connector_is_recognised() {
        for preset in outbound_presets() {
            assert!(
                WAYS.iter().any(|way| way.name == preset.name),
                "{}",
                preset.name
            );
            let mut keys = preset.keys.clone();
            keys.insert("name".to_owned(), "x".into());
            if preset.name == "plain" {
                let host = toml::Value::from("smtp.example.net:587");
                keys.insert("smart_hosts".to_owned(), toml::Value::Array(vec![host]));
            }
            let connector: OutboundConnector = keys.try_into().expect(&preset.name);
            assert_eq!(way_of(&connector), preset.name);
        }
        assert_eq!(way_of(&OutboundConnector::new("x")), "direct");
    }
}
