//! Who may use the listener for old TLS: the addresses that the bootstrap file names, and the
//! devices of inbound connectors that allow it until a day. The file's day ends it for all of them.
//! Before the handshake nothing but the address is known, so that nothing else can decide.
//!
//! Not here: the listener itself (`relais_net::tls`, `relais_receive`).

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;

use crate::document::{ConnectorState, Document, InboundConnector, is_day};
use crate::range::is_nearly_everybody;
use crate::settings::{OwnedConnector, Settings, SettingsError};

/// Days ahead that a connector may be allowed old TLS: two years. Whoever still needs it then looks
/// again.
pub const DAYS_MAX: u64 = 731;
/// Days ahead that are proposed: a review each year.
const REVIEW_DAYS: u64 = 365;
const DAY: Duration = Duration::from_secs(86_400);

/// Who may use a listener, and until when: one with old TLS is not for everybody, nor for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListenerBounds {
    /// These clients, besides the devices of connectors that allow it.
    pub sources: Vec<IpNet>,
    /// The first moment at which it is closed.
    pub expires: Timestamp,
}

impl ListenerBounds {
    /// May this client use the listener now?
    pub fn admit(
        &self,
        settings: &Settings,
        client: IpAddr,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if now >= self.expires {
            let day = self.expires.day().into();
            return Err(Refusal::ListenerExpired { day });
        }
        if self.sources.iter().any(|source| source.contains(&client)) {
            return Ok(());
        }
        // The last day counts: of two connectors with the same device one may go on.
        match allowing(settings, client).map(|(day, _)| day).max() {
            Some(day) if is_open(day, now) => Ok(()),
            Some(day) => Err(Refusal::ListenerDay { day: day.into() }),
            None => Err(Refusal::ListenerSource { address: client }),
        }
    }

    /// The day to propose for a connector: in a year, and not behind the listener's own end; none
    /// where that has come.
    pub fn review(&self, now: Timestamp) -> Option<String> {
        let last = self.expires.before(DAY);
        (now < self.expires).then(|| review(now).min(last.day()))
    }
}

/// The day of a review in a year.
pub fn review(now: Timestamp) -> String {
    now.after(DAY * REVIEW_DAYS as u32).day()
}

/// Whether a connector in use allows it today. Its day counts to its end, by UTC.
pub fn allows(connector: &InboundConnector, now: Timestamp) -> bool {
    day_of(connector).is_some_and(|day| is_open(day, now))
}

/// The connectors in use with this device that allow it, or did, each with its day.
pub fn allowing(
    settings: &Settings,
    client: IpAddr,
) -> impl Iterator<Item = (&str, OwnedConnector<'_>)> {
    let covering = settings.connectors_by_address(client.to_canonical());
    covering.filter_map(|(_, owned)| Some((day_of(owned.connector)?, owned)))
}

/// Whether a connector with these addresses can allow it: without any, nobody is known before the
/// handshake; with half of the world, everybody would be let in.
pub fn can_allow(connector: &InboundConnector) -> bool {
    let addresses = &connector.sender_ip_addresses;
    !addresses.is_empty() && !addresses.iter().any(is_nearly_everybody)
}

/// Days of connectors that a change sets too far ahead. What stands already stays.
pub fn too_far(before: &Document, after: &Document, now: Timestamp) -> Vec<SettingsError> {
    let last = now.after(DAY * DAYS_MAX as u32).day();
    let stands = |organisation: &str, one: &InboundConnector| {
        let mut owners = before.organisation.iter();
        let owner = owners.find(|owner| owner.name == organisation);
        let mut all = owner.into_iter().flat_map(|owner| &owner.inbound_connector);
        all.any(|old| old.name == one.name && old.legacy_tls_until == one.legacy_tls_until)
    };
    let mut errors = Vec::new();
    for owner in &after.organisation {
        for one in &owner.inbound_connector {
            let day = &one.legacy_tls_until;
            // Days sort as texts.
            if *day > last && is_day(day) && !stands(&owner.name, one) {
                let message = format!(
                    "legacy_tls_until {day} is more than two years ahead; write {last} or earlier, \
                     and look again then"
                );
                errors.push(SettingsError {
                    object: format!(
                        "organisation {}, inbound connector {}",
                        owner.name, one.name
                    ),
                    message,
                });
            }
        }
    }
    errors
}

fn day_of(connector: &InboundConnector) -> Option<&str> {
    let day = connector.legacy_tls_until.as_str();
    let is_in_use = match connector.state {
        ConnectorState::Enabled | ConnectorState::Observing => true,
        ConnectorState::Disabled | ConnectorState::Draft => false,
    };
    (is_in_use && !day.is_empty()).then_some(day)
}

fn is_open(day: &str, now: Timestamp) -> bool {
    day >= now.day().as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Mode;

    fn at(moment: &str) -> Timestamp {
        Timestamp::parse_rfc3339(moment).unwrap()
    }

    fn settings(connectors: &str) -> Settings {
        let text = format!("[[organisation]]\nname = \"contoso\"\n{connectors}");
        let document = Document::from_toml(&text).unwrap();
        Settings::build(Mode::Lan, 1, document).unwrap()
    }

    fn connector(name: &str, network: &str, more: &str) -> String {
        format!(
            "[[organisation.inbound_connector]]\nname = \"{name}\"\n\
             sender_ip_addresses = [\"{network}\"]\n{more}\n"
        )
    }

    fn bounds() -> ListenerBounds {
        ListenerBounds {
            sources: vec!["10.9.0.0/16".parse().unwrap()],
            expires: at("2028-01-01T00:00:00Z"),
        }
    }

    fn answer(settings: &Settings, client: &str, moment: &str) -> Option<&'static str> {
        let client = client.parse().unwrap();
        let said = bounds().admit(settings, client, at(moment));
        said.err().map(|refusal| refusal.token())
    }

    const UNTIL: &str = "legacy_tls_until = \"2027-12-01\"";
    const NOON: &str = "2027-11-01T12:00:00Z";

    #[test]
    fn a_connectors_devices_may_use_it_to_the_end_of_their_day_and_those_of_the_file_longer() {
        let here = settings(&connector("Printers", "10.1.2.0/24", UNTIL));
        for (client, moment, token) in [
            ("10.1.2.9", NOON, None),
            ("::ffff:10.1.2.9", NOON, None),
            ("10.1.2.9", "2027-12-01T23:59:59Z", None),
            ("10.1.2.9", "2027-12-02T00:00:00Z", Some("LISTENER-DAY")),
            ("10.9.1.1", "2027-12-02T00:00:00Z", None),
            ("10.1.3.9", NOON, Some("LISTENER-SRC")),
            ("10.1.2.9", "2028-01-01T00:00:00Z", Some("LISTENER-EXPIRED")),
            ("10.9.1.1", "2028-01-01T00:00:00Z", Some("LISTENER-EXPIRED")),
        ] {
            assert_eq!(answer(&here, client, moment), token, "{client} {moment}");
        }
    }

    #[test]
    fn only_a_connector_in_use_allows_it_and_of_two_the_later_day_counts() {
        for (state, token) in [
            ("enabled", None),
            ("observing", None),
            ("disabled", Some("LISTENER-SRC")),
            ("draft", Some("LISTENER-SRC")),
        ] {
            let more = format!("{UNTIL}\nstate = \"{state}\"");
            let here = settings(&connector("Printers", "10.1.2.0/24", &more));
            assert_eq!(answer(&here, "10.1.2.9", NOON), token, "{state}");
        }
        let over = "legacy_tls_until = \"2027-01-01\"";
        let two = [
            connector("Copiers", "10.1.2.0/24", over),
            connector("Lyon", "10.1.0.0/16", UNTIL),
        ];
        let here = settings(&two.concat());
        assert_eq!(answer(&here, "10.1.2.9", NOON), None);
    }

    #[test]
    fn the_proposed_day_is_in_a_year_and_not_behind_the_listeners_end() {
        let review = |moment| bounds().review(at(moment));
        assert_eq!(
            review("2026-12-01T10:00:00Z").as_deref(),
            Some("2027-12-01")
        );
        assert_eq!(
            review("2027-06-01T10:00:00Z").as_deref(),
            Some("2027-12-31")
        );
        assert_eq!(review("2028-01-01T00:00:00Z"), None);
    }

    #[test]
    fn a_day_is_written_in_one_way() {
        for (text, right) in [
            ("2027-12-01", true),
            ("2027-02-29", false),
            ("2027-12-1", false),
            ("2027-12-01T00:00:00Z", false),
            ("soon", false),
            ("", false),
        ] {
            assert_eq!(is_day(text), right, "{text}");
        }
    }

    #[test]
    fn nobody_and_nearly_everybody_cannot_be_allowed_it() {
        for (networks, right) in [
            (&["10.0.0.0/8", "2001:db8::/32"][..], true),
            (&[], false),
            (&["10.1.2.9/32", "0.0.0.0/0"], false),
            (&["8.0.0.0/7"], false),
            (&["::/0"], false),
            (&["2001::/31"], false),
        ] {
            let mut one = InboundConnector::new("x");
            one.sender_ip_addresses = networks.iter().map(|it| it.parse().unwrap()).collect();
            assert_eq!(can_allow(&one), right, "{networks:?}");
        }
    }

    #[test]
    fn a_change_may_name_a_day_within_two_years_and_what_stands_stays() {
        let with = |day: &str| {
            let more = format!("legacy_tls_until = \"{day}\"");
            settings(&connector("Printers", "10.1.2.0/24", &more)).document
        };
        let now = at("2026-12-01T10:00:00Z");
        let told = |before: &Document, after: &str| too_far(before, &with(after), now);
        assert!(told(&Document::default(), "2028-12-01").is_empty());
        assert!(told(&Document::default(), "2020-01-01").is_empty());
        let errors = told(&Document::default(), "2028-12-02");
        assert_eq!(
            errors[0].to_string(),
            "organisation contoso, inbound connector Printers: legacy_tls_until 2028-12-02 is more \
             than two years ahead; write 2028-12-01 or earlier, and look again then"
        );
        assert!(told(&with("2099-01-01"), "2099-01-01").is_empty());
        assert_eq!(told(&with("2099-01-01"), "2098-01-01").len(), 1);
    }
}
