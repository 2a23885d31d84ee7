//! Clients known by a DNS name: which connector they get when names lead to their address.

use relais_policy::attribution::{Facts, attribute};
use relais_policy::settings::{Mode, ResolvedNames, Settings};
use relais_smtp::domain::Domain;

use crate::world::build;

fn resolved(names: &[(&str, &[&str])]) -> ResolvedNames {
    let pair = |(name, addresses): &(&str, &[&str])| {
        let addresses = addresses.iter().map(|it| it.parse().expect("an address"));
        (Domain::parse(name).expect("a name"), addresses.collect())
    };
    names.iter().map(pair).collect()
}

fn with_names(mode: Mode, text: &str, names: &[(&str, &[&str])]) -> Settings {
    build(mode, text).with_client_names(resolved(names).into())
}

fn connector(name: &str, more: &str) -> String {
    format!("[[organisation.inbound_connector]]\nname = \"{name}\"\n{more}\n")
}

#[track_caller]
fn expect(settings: &Settings, cases: &[(&str, &str)]) {
    for (address, answer) in cases {
        let facts = Facts::of_address(address.parse().expect("an address"));
        let found = attribute(settings, &facts);
        let owner = found.connector().map(|found| match settings.mode {
            Mode::Lan => format!("{}: ", found.connector.name),
            Mode::Hosted => format!("{} {}: ", found.organisation.name, found.connector.name),
        });
        let found = format!("{}{}", owner.unwrap_or_default(), found.describe(&facts));
        assert_eq!(found, *answer, "{address}");
    }
}

#[test]
fn a_name_counts_as_its_addresses_behind_single_ones_and_before_networks() {
    let text = "[[organisation]]\nname = \"contoso\"\n".to_owned()
        + &connector("Office", "sender_ip_addresses = [\"198.51.100.0/24\"]")
        + &connector(
            "Copier",
            "sender_dns_names = [\"copier.dyn.example\", \"c2.dyn.example\"]",
        )
        + &connector("Door", "sender_ip_addresses = [\"198.51.100.7\"]")
        + &connector(
            "Off",
            "state = \"disabled\"\nsender_dns_names = [\"off.dyn.example\"]",
        )
        + &connector(
            "Plan",
            "state = \"draft\"\nsender_dns_names = [\"plan.dyn.example\"]",
        )
        + &connector(
            "Both",
            "identified_by = \"all\"\nsender_ip_addresses = [\"203.0.113.0/24\"]\n\
             sender_dns_names = [\"both.dyn.example\"]",
        );
    let names: &[(&str, &[&str])] = &[
        (
            "copier.dyn.example",
            &["198.51.100.7", "198.51.100.8", "2001:db8::8"],
        ),
        ("c2.dyn.example", &["::ffff:192.0.2.9"]),
        ("off.dyn.example", &["192.0.2.20"]),
        ("plan.dyn.example", &["192.0.2.30"]),
        ("both.dyn.example", &["203.0.113.5", "192.0.2.40"]),
        ("nobody.dyn.example", &["192.0.2.50"]),
    ];
    let settings = with_names(Mode::Lan, &text, names);
    expect(
        &settings,
        &[
            ("198.51.100.9", "Office: ip 198.51.100.9 in 198.51.100.0/24"),
            (
                "198.51.100.8",
                "Copier: ip 198.51.100.8 of copier.dyn.example",
            ),
            ("198.51.100.7", "Door: ip 198.51.100.7 in 198.51.100.7/32"),
            (
                "2001:db8::8",
                "Copier: ip 2001:db8::8 of copier.dyn.example",
            ),
            ("192.0.2.9", "Copier: ip 192.0.2.9 of c2.dyn.example"),
            ("192.0.2.20", "Off: ip 192.0.2.20 of off.dyn.example"),
            ("192.0.2.30", "nobody's client: ip 192.0.2.30"),
            ("203.0.113.5", "Both: ip 203.0.113.5 of both.dyn.example"),
            ("203.0.113.6", "Both: DNS name missing"),
            ("192.0.2.40", "Both: address missing"),
            ("192.0.2.50", "nobody's client: ip 192.0.2.50"),
        ],
    );
    let unknown = settings.with_client_names(ResolvedNames::new().into());
    expect(
        &unknown,
        &[
            ("198.51.100.8", "Office: ip 198.51.100.8 in 198.51.100.0/24"),
            ("2001:db8::8", "nobody's client: ip 2001:db8::8"),
            ("203.0.113.5", "Both: DNS name missing"),
        ],
    );
}

#[test]
fn where_others_share_the_server_a_name_takes_nobodys_address() {
    let organisation =
        |name: &str, connectors: &str| format!("[[organisation]]\nname = \"{name}\"\n{connectors}");
    let all = "identified_by = \"all\"\ntls_sender_certificate_name = \"x.thief.test\"";
    let text = organisation(
        "thief",
        &(connector("Any", "sender_dns_names = [\"any.thief.test\"]")
            + &connector(
                "All",
                &format!("{all}\nsender_dns_names = [\"all.thief.test\"]"),
            )),
    ) + &organisation(
        "contoso",
        &(connector("Site", "sender_ip_addresses = [\"192.175.48.0/24\"]")
            + &connector("Copier", "sender_dns_names = [\"copier.dyn.example\"]")),
    );
    let names: &[(&str, &[&str])] = &[
        (
            "any.thief.test",
            &["192.175.48.9", "81.2.69.1", "10.1.2.3", "81.2.69.4"],
        ),
        ("all.thief.test", &["192.175.48.8", "81.2.69.2"]),
        (
            "copier.dyn.example",
            &["81.2.69.1", "81.2.69.2", "81.2.69.3"],
        ),
    ];
    let settings = with_names(Mode::Hosted, &text, names);
    expect(
        &settings,
        &[
            (
                "192.175.48.9",
                "contoso Site: ip 192.175.48.9 in 192.175.48.0/24",
            ),
            (
                "192.175.48.8",
                "contoso Site: ip 192.175.48.8 in 192.175.48.0/24",
            ),
            (
                "81.2.69.3",
                "contoso Copier: ip 81.2.69.3 of copier.dyn.example",
            ),
            (
                "81.2.69.2",
                "contoso Copier: ip 81.2.69.2 of copier.dyn.example",
            ),
            ("81.2.69.1", "thief Any: second factor missing"),
            ("81.2.69.4", "thief Any: ip 81.2.69.4 of any.thief.test"),
            ("10.1.2.3", "nobody's client: ip 10.1.2.3"),
        ],
    );
}
