//! A domain is proved by its record, as a person and their registrar see it: the real binary, a
//! name server of our own that is the domain's.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tokio::runtime::Runtime;

use relais_net::dns_server::{DnsServer, ZoneRecord};

use crate::support::{Place, Server};

/// The name server of contoso.test, which is the configured resolver too.
struct Registrar {
    server: DnsServer,
    _runtime: Runtime,
}

impl Registrar {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime
            .block_on(DnsServer::start(address, Vec::new()))
            .expect("a free port");
        let registrar = Self {
            server,
            _runtime: runtime,
        };
        registrar.publish(&[]);
        registrar
    }

    /// The TXT records of contoso.test from now on.
    fn publish(&self, texts: &[&str]) {
        let server = |name: &str| ZoneRecord::NameServer(name.to_owned());
        let mut records = vec![
            ("contoso.test", server("ns.contoso.test")),
            (
                "ns.contoso.test",
                ZoneRecord::Address(Ipv4Addr::LOCALHOST.into()),
            ),
        ];
        let texts = texts
            .iter()
            .map(|text| ZoneRecord::Text((*text).to_owned()));
        records.extend(texts.map(|text| ("contoso.test", text)));
        let records = records.into_iter().map(|(name, it)| (name.to_owned(), it));
        self.server
            .replace(&records.collect::<Vec<_>>())
            .expect("names");
    }

    fn serve(&self, mode: &str) -> Server {
        let address = self.server.address();
        let port = address.port();
        Place::new(&format!(
            "[dns]\nnameservers = [\"{address}\"]\nauthoritative_port = {port}\n[deliver]\n\
             allow_private_destinations = true\n"
        ))
        .with_mode(mode)
        .serve()
    }
}

const SITE: &str = r#"
[[organisation]]
name = "contoso"
postmaster = "it@contoso.test"
[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["127.0.0.1"]
[[organisation.outbound_connector]]
name = "Nowhere"
smart_hosts = ["127.0.0.1:9"]
"#;

fn mail_from(server: &Server) -> String {
    let mut session = server.session();
    session.say("EHLO scan.contoso.test");
    session.say("MAIL FROM:<scan@contoso.test>")
}

/// The value of the one record to publish.
fn record(server: &Server, organisation: &[&str]) -> String {
    let arguments = [
        &["--json", "domain", "records", "contoso.test"],
        organisation,
    ]
    .concat();
    let answer = server.relais(&arguments).expect(0).json();
    let record = &answer["records"][0];
    assert_eq!(
        (&record["type"], &record["name"]),
        (&Value::from("TXT"), &Value::from("contoso.test"))
    );
    let value = record["value"].as_str().expect("a value").to_owned();
    assert!(value.starts_with("relais-verification="), "{value}");
    value
}

fn state(server: &Server) -> String {
    let domains = server.relais(&["--json", "domain", "list"]).expect(0);
    let domains = domains.json_lines();
    domains[0]["state"].as_str().expect("a state").to_owned()
}

#[test]
fn a_domain_is_proved_by_itself_lapses_without_refusing_mail_and_is_the_same_after_a_restart() {
    let registrar = Registrar::new();
    let server = registrar.serve("lan");
    server.apply(SITE).expect(0);
    let added = server.relais(&["domain", "add", "Contoso.test"]).expect(0);
    let record = record(&server, &[]);
    assert!(added.out.contains(&record), "{added:?}");
    let refused = mail_from(&server);
    assert!(
        refused.starts_with("550 5.7.1 Sender domain not verified: contoso.test (FROM-DOMAIN ")
    );
    let zone = server.relais(&["domain", "records", "contoso.test", "--format", "zone"]);
    let line = format!("contoso.test. 3600 IN TXT \"{record}\"");
    assert!(zone.expect(0).out.contains(&line));
    let absent = server
        .relais(&["domain", "verify", "contoso.test"])
        .expect(4);
    assert!(
        absent.out.contains("ns.contoso.test (127.0.0.1:"),
        "{absent:?}"
    );
    assert!(absent.out.contains("The record is not there"), "{absent:?}");

    registrar.publish(&["v=spf1 -all", &record]);
    // Nobody presses a button.
    server.log.wait_for("verified", |line| {
        line.contains("check.changed") && line.contains("verified, was pending")
    });
    assert_eq!(state(&server), "verified");
    assert!(mail_from(&server).starts_with("250 "));

    registrar.publish(&["v=spf1 -all"]);
    let gone = server
        .relais(&["--json", "domain", "check", "contoso.test"])
        .expect(4)
        .json();
    assert_eq!(gone["state"], "lapsing");
    assert_eq!(gone["checks"][0]["finding"], "absent");
    assert_eq!(gone["grace_left_s"], 7 * 86_400);
    assert!(mail_from(&server).starts_with("250 "), "days of grace run");

    let (_, place) = server.stop();
    let server = place.serve();
    assert_eq!(state(&server), "lapsing");
    assert!(mail_from(&server).starts_with("250 "));
    registrar.publish(&[&record]);
    let back = server
        .relais(&["domain", "verify", "contoso.test"])
        .expect(0);
    assert!(back.out.contains("contoso.test is verified."), "{back:?}");
    let audit = server
        .relais(&["--json", "audit", "list"])
        .expect(0)
        .json_lines();
    let acts = audit.iter().filter_map(|entry| entry["act"].as_str());
    let acts = acts
        .filter(|act| act.starts_with("domain."))
        .collect::<Vec<_>>();
    assert_eq!(
        acts,
        ["domain.verified", "domain.lapsing", "domain.verified"]
    );
}

#[test]
fn of_two_organisations_on_one_server_the_one_that_shows_its_record_has_the_domain() {
    let registrar = Registrar::new();
    let server = registrar.serve("hosted");
    let organisation = |name: &str, network: &str| {
        format!(
            "[[organisation]]\nname = \"{name}\"\n[[organisation.domain]]\nname = \"contoso.test\"\n\
             mailbox_host = \"mail.{name}.test\"\nkind = \"internal-relay\"\n\
             [[organisation.inbound_connector]]\nname = \"Site\"\nsender_ip_addresses = [\"{network}\"]\n"
        )
    };
    let both =
        organisation("fabrikam", "192.175.48.128/25") + &organisation("contoso", "192.175.48.0/25");
    server.apply(&both).expect(0);
    let contoso = ["--organisation", "contoso"];
    let fabrikam = ["--organisation", "fabrikam"];
    let records = [record(&server, &fabrikam), record(&server, &contoso)];
    assert_ne!(records[0], records[1]);
    registrar.publish(&[&records[1]]);
    server
        .relais(&["domain", "verify", "contoso.test"])
        .expect(1);
    let verify =
        |whose: &[&str]| server.relais(&[&["domain", "verify", "contoso.test"], whose].concat());
    verify(&fabrikam).expect(4);
    verify(&contoso).expect(0);
    registrar.publish(&[&records[0], &records[1]]);
    let taken = verify(&fabrikam).expect(4);
    assert!(taken.out.contains("another organisation's"), "{taken:?}");
    assert!(!taken.out.contains("organisation contoso"), "{taken:?}");
    for (address, verdict, token) in [
        ("192.175.48.1", "permit", Value::Null),
        ("192.175.48.200", "refuse", Value::from("FROM-DOMAIN")),
    ] {
        let arguments = [
            "--json",
            "simulate",
            "--ip",
            address,
            "--from",
            "a@contoso.test",
        ];
        let arguments = [&arguments[..], &["--to", "b@example.org"]].concat();
        let answer = server.relais(&arguments).expect(0).json();
        assert_eq!(
            (&answer["verdict"], &answer["token"]),
            (&Value::from(verdict), &token)
        );
    }
    let inbound = [
        "--json",
        "simulate",
        "--ip",
        "81.2.69.142",
        "--from",
        "x@example.org",
    ];
    let inbound = [&inbound[..], &["--to", "anna@contoso.test"]].concat();
    let inbound = server.relais(&inbound).expect(0).json();
    assert_eq!(inbound["organisation"], "contoso", "a claim takes no mail");
    assert_eq!(inbound["route"]["hosts"][0], "mail.contoso.test:25");
}
