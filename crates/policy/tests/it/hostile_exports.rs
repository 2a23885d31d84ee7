//! Exports that were made to cost more than they say: read in a moment, within bounds. Without
//! these they take minutes to days, or all memory: a test that does not end has failed.

use relais_policy::document::{Document, Organisation};
use relais_policy::migration::{
    OBJECTS_MAX, Proposal, Source, Surroundings, TEXT_OCTETS_MAX, read,
};
use relais_policy::settings::Mode;

/// Networks of one import.
const NETWORKS_MAX: usize = 50_000;

fn read_all(source: Source, text: &str) -> Proposal {
    assert!(text.len() <= TEXT_OCTETS_MAX, "{}", text.len());
    let document = Document {
        organisation: vec![Organisation::new("contoso")],
    };
    let around = Surroundings {
        mode: Mode::Lan,
        settings: &document,
        organisation: &document.organisation[0],
    };
    read(source, text, &around).unwrap_or_else(|error| panic!("{error}"))
}

/// Enough of each to show it.
const OCTETS: usize = TEXT_OCTETS_MAX / 4;

fn filled(head: &str, line: &str, end: &str) -> String {
    let count = (OCTETS - head.len() - end.len()) / line.len();
    format!("{head}{}{end}", line.repeat(count))
}

fn networks_of(proposal: &Proposal) -> usize {
    let all = proposal.organisation.inbound_connector.iter();
    all.map(|one| one.sender_ip_addresses.len()).sum()
}

#[test]
fn a_list_in_which_every_device_has_the_same_name() {
    let proposal = read_all(Source::Csv, &filled("name,ip\n", "a,10.1.2.9\n", ""));
    let all = &proposal.organisation.inbound_connector;
    assert_eq!(all.len(), OBJECTS_MAX);
    assert_eq!(all[OBJECTS_MAX - 1].name, format!("a ({OBJECTS_MAX})"));
}

#[test]
fn a_list_with_as_many_columns_as_lines() {
    let head = format!("name,ip{}\n", ",".repeat(OCTETS / 2));
    let proposal = read_all(Source::Csv, &filled(&head, "a,10.1.2.9\n", ""));
    assert_eq!(proposal.organisation.inbound_connector.len(), OBJECTS_MAX);
}

#[test]
fn ranges_that_are_a_hundred_networks_each() {
    let mut cell = String::from("name,ip\na,");
    let mut number = 0_u32;
    while cell.len() < OCTETS {
        let (high, low) = (number >> 16, number & 0xffff);
        cell.push_str(&format!(
            "fd00:0:0:{high:x}:{low:x}::1-fd00:0:0:{high:x}:{low:x}:ffff:ffff:fffe "
        ));
        number += 1;
    }
    assert!(networks_of(&read_all(Source::Csv, &cell)) <= NETWORKS_MAX);
    let one = r#"{"Name":"a","RemoteIPRanges":["10.0.0.1-10.255.255.254"]}"#;
    let proposal = read_all(Source::Exchange, &filled("", one, ""));
    assert!((10_000..=NETWORKS_MAX).contains(&networks_of(&proposal)));
}

#[test]
fn signs_of_xml_that_name_nothing_and_elements_with_thousands_of_attributes() {
    let signs = "&".repeat(TEXT_OCTETS_MAX / 2);
    let signs = format!("<IIsSmtpServer Location=\"/1\" SmartHost=\"{signs}\"/>");
    read_all(Source::Iis, &signs);
    let half = OCTETS / 2 / 5;
    let head = format!("<IIsSmtpService {}/>", "a='' ".repeat(half));
    read_all(Source::Iis, &filled(&head, "<IIsSmtpServer/>", ""));
}

#[test]
fn a_table_that_is_named_thousands_of_times_and_next_hops_with_thousands_of_users() {
    let mut table = String::from("==> nets <==\n");
    for number in 0..20_000 {
        table.push_str(&format!("10.{}.{}.0/24 x\n", number >> 8, number & 0xff));
    }
    let named = format!("mynetworks = {}\n{table}", "cidr:/nets ".repeat(20_000));
    read_all(Source::Postfix, &named);
    let mut routes = String::from(
        "transport_maps = hash:/routes\nsmtp_sasl_auth_enable = yes\n\
         smtp_sasl_password_maps = hash:/users\n==> routes <==\n",
    );
    for number in 0..8_000 {
        routes.push_str(&format!("d{number}.test smtp:[h{number}.test]\n"));
    }
    routes.push_str("==> users <==\n");
    for number in 0..8_000 {
        routes.push_str(&format!("[u{number}.test] scan:x\n"));
    }
    let proposal = read_all(Source::Postfix, &routes);
    assert_eq!(
        proposal.organisation.outbound_connector.len(),
        OBJECTS_MAX / 4
    );
}
