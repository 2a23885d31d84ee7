//! The one change of an inbound connector that would have let a refused device through, where there
//! is one: what the page that listens offers as a click. Pure: (settings, connector, refusal) →
//! changes; a person decides.
//!
//! Not here: changes of other things (domains, DNS, the device itself): the catalogue of refusals
//! says what to do.

use std::net::IpAddr;

use ipnet::IpNet;

use relais_smtp::address::{Host, Mailbox};

use crate::document::{ConnectorState, HeaderFromPolicy, InboundConnector, InboundTls, PresetName};
use crate::old_tls::can_allow;
use crate::range::is_private_address;
use crate::settings::{OwnedConnector, Settings};

/// What is known of the refusal.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// Its token.
    pub token: &'a str,
    /// The reverse-path that was tried last.
    pub from: Option<&'a Mailbox>,
    /// The recipient that was tried last.
    pub to: Option<&'a Mailbox>,
    /// The device's address.
    pub client: IpAddr,
    /// The day to which old TLS can be allowed here; none: it knows newer TLS, or there is no
    /// listener for old TLS.
    pub old_tls: Option<&'a str>,
}

/// A change that would help.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Remedy {
    /// The connector is enabled.
    Enable,
    /// Test mail to this address is let through.
    TestRecipient(String),
    /// The device's slips are repaired.
    Tolerant,
    /// TLS is offered, and no longer demanded.
    OfferTls,
    /// It may log in without TLS.
    ClearTextAuth,
    /// It may send as this domain too.
    SenderDomain(String),
    /// It may send to this domain too.
    RecipientDomain(String),
    /// A foreign header From is replaced by the reverse-path.
    RepairFrom,
    /// The address is one of its devices.
    Address(IpAddr),
    /// Its devices may use the listener for old TLS to the end of this day.
    OldTls(String),
}

impl Remedy {
    /// For forms.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::TestRecipient(_) => "test-recipient",
            Self::Tolerant => "tolerant",
            Self::OfferTls => "offer-tls",
            Self::ClearTextAuth => "cleartext-auth",
            Self::SenderDomain(_) => "sender-domain",
            Self::RecipientDomain(_) => "recipient-domain",
            Self::RepairFrom => "repair-from",
            Self::Address(_) => "address",
            Self::OldTls(_) => "old-tls",
        }
    }

    /// What it is about; empty where the name says it all.
    pub fn value(&self) -> String {
        match self {
            Self::TestRecipient(text)
            | Self::SenderDomain(text)
            | Self::RecipientDomain(text)
            | Self::OldTls(text) => text.clone(),
            Self::Address(address) => address.to_string(),
            Self::Enable
            | Self::Tolerant
            | Self::OfferTls
            | Self::ClearTextAuth
            | Self::RepairFrom => String::new(),
        }
    }

    /// Makes the change.
    pub fn apply(&self, connector: &mut InboundConnector) {
        match self {
            Self::Enable => connector.state = ConnectorState::Enabled,
            Self::TestRecipient(to) => connector.test_recipients.push(to.clone()),
            Self::Tolerant => connector.preset = Some(PresetName::Tolerant),
            Self::OfferTls => connector.tls = InboundTls::Offered,
            Self::ClearTextAuth => connector.cleartext_auth = true,
            Self::SenderDomain(domain) => connector.sender_domains.push(domain.clone()),
            Self::RecipientDomain(domain) => connector.recipient_domains.push(domain.clone()),
            Self::RepairFrom => connector.header_from = Some(HeaderFromPolicy::Repair),
            Self::Address(address) => connector
                .sender_ip_addresses
                .push(IpNet::from(address.to_canonical())),
            Self::OldTls(day) => connector.legacy_tls_until.clone_from(day),
        }
    }
}

/// What would help, the narrowest first.
pub fn remedies(
    settings: &Settings,
    owned: &OwnedConnector<'_>,
    refused: &Refused<'_>,
) -> Vec<Remedy> {
    let connector = owned.connector;
    let domain = |mailbox: Option<&Mailbox>| match mailbox?.host() {
        Host::Domain(domain) => Some(domain.clone()),
        Host::Literal(_) => None,
    };
    let one = match refused.token {
        "CONN-OFF" => Some(Remedy::Enable),
        "SANDBOX" => {
            let to = refused.to.map(|to| Remedy::TestRecipient(to.to_string()));
            return to.into_iter().chain([Remedy::Enable]).collect();
        }
        "TLS-REQUIRED" if connector.tls == InboundTls::Required => Some(Remedy::OfferTls),
        "AUTH-TLS" if is_private_address(refused.client) => Some(Remedy::ClearTextAuth),
        "FROM-DOMAIN" => domain(refused.from)
            .filter(|it| settings.is_verified_for(&owned.organisation.name, it))
            .map(|it| Remedy::SenderDomain(it.to_string())),
        "RCPT-SCOPE" => domain(refused.to).map(|it| Remedy::RecipientDomain(it.to_string())),
        "HDR-DOMAIN" => Some(Remedy::RepairFrom),
        "SYNTAX" | "FROM-SYNTAX" | "RCPT-SYNTAX" | "HDR-FROM" | "HDR-BARELF"
            if connector.preset != Some(PresetName::Tolerant) =>
        {
            Some(Remedy::Tolerant)
        }
        "SRC-UNKNOWN" => {
            let mut covering = settings.connectors_by_address(refused.client);
            let is_free = covering.next().is_none();
            is_free.then_some(Remedy::Address(refused.client))
        }
        "TLS-OLD" | "LISTENER-SRC" | "LISTENER-DAY" if may_allow(connector, refused.client) => {
            refused.old_tls.map(|day| Remedy::OldTls(day.to_owned()))
        }
        _ => None,
    };
    one.into_iter().collect()
}

/// Whether it can allow this device old TLS.
fn may_allow(connector: &InboundConnector, client: IpAddr) -> bool {
    let mut networks = connector.sender_ip_addresses.iter();
    let client = client.to_canonical();
    can_allow(connector) && networks.any(|network| network.contains(&client))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::settings::Mode;

    const LAN: &str = r#"
[[organisation]]
name = "contoso"
[[organisation.domain]]
name = "contoso.test"
verification = "assumed"
[[organisation.domain]]
name = "elsewhere.test"
[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["10.1.2.0/24"]
sender_domains = ["other.test"]
recipient_domains = ["own"]
tls = "required"
"#;

    fn names(token: &str, from: &str, client: &str) -> Vec<(&'static str, String)> {
        let document = Document::from_toml(LAN).unwrap();
        let settings = Settings::build_stored(Mode::Lan, 1, document).unwrap();
        let owned = settings.inbound_connector("contoso", "Printers").unwrap();
        let (from, to) = (Mailbox::parse(from).ok(), Mailbox::parse("b@far.test").ok());
        let refused = Refused {
            token,
            from: from.as_ref(),
            to: to.as_ref(),
            client: client.parse().unwrap(),
            old_tls: Some("2027-12-01"),
        };
        let all = remedies(&settings, &owned, &refused).into_iter();
        all.map(|it| (it.name(), it.value())).collect()
    }

    #[test]
    fn each_refusal_by_the_connector_has_the_change_that_would_have_helped() {
        let own = |token| names(token, "scan@contoso.test", "10.1.2.9");
        let one = |name, value: &str| vec![(name, value.to_owned())];
        assert_eq!(own("CONN-OFF"), one("enable", ""));
        assert_eq!(own("TLS-REQUIRED"), one("offer-tls", ""));
        assert_eq!(own("AUTH-TLS"), one("cleartext-auth", ""));
        assert_eq!(own("FROM-DOMAIN"), one("sender-domain", "contoso.test"));
        assert_eq!(own("RCPT-SCOPE"), one("recipient-domain", "far.test"));
        assert_eq!(own("HDR-DOMAIN"), one("repair-from", ""));
        assert_eq!(own("HDR-BARELF"), one("tolerant", ""));
        for token in ["TLS-OLD", "LISTENER-SRC", "LISTENER-DAY"] {
            assert_eq!(own(token), one("old-tls", "2027-12-01"));
        }
        let sandbox = own("SANDBOX");
        assert_eq!(sandbox[0], ("test-recipient", "b@far.test".to_owned()));
        assert_eq!(sandbox[1], ("enable", String::new()));
    }

    #[test]
    fn nothing_is_offered_that_would_open_a_door_to_others() {
        // A domain that is not proved, or foreign; a password in clear on the internet; an address
        // that is somebody's already; blocks.
        assert!(names("FROM-DOMAIN", "a@elsewhere.test", "10.1.2.9").is_empty());
        assert!(names("FROM-DOMAIN", "a@foreign.test", "10.1.2.9").is_empty());

        assert!(names("AUTH-TLS", "a@contoso.test", "9.9.9.9").is_empty());
        assert!(names("SRC-UNKNOWN", "a@contoso.test", "10.1.2.9").is_empty());
        assert!(names("LISTENER-SRC", "a@contoso.test", "10.1.3.7").is_empty());
        for token in ["IP-BLOCKED", "AUTH-BAD", "RCPT-UNKNOWN", "RATE", "SIZE"] {
            assert!(names(token, "a@contoso.test", "10.1.2.9").is_empty());
        }
    }

    #[test]
    fn a_stranger_can_be_taken_in_and_each_change_does_what_it_says() {
        let all = names("SRC-UNKNOWN", "a@contoso.test", "10.1.3.7");
        assert_eq!(all, [("address", "10.1.3.7".to_owned())]);
        let mut connector = InboundConnector::new("x");
        Remedy::Address("10.1.3.7".parse().unwrap()).apply(&mut connector);
        Remedy::RepairFrom.apply(&mut connector);
        Remedy::SenderDomain("a.test".to_owned()).apply(&mut connector);
        Remedy::OldTls("2027-12-01".to_owned()).apply(&mut connector);
        assert_eq!(connector.legacy_tls_until, "2027-12-01");
        assert_eq!(connector.sender_ip_addresses[0].to_string(), "10.1.3.7/32");
        assert_eq!(connector.header_from, Some(HeaderFromPolicy::Repair));
        assert_eq!(connector.sender_domains, ["*", "a.test"]);
    }
}
