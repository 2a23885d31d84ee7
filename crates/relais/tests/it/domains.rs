//! A domain is proved by its record, as a person and their registrar see it: the real binary, a
//! name server of our own that is the domain's.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tokio::runtime::Runtime;

use relais_net::dns_server::{DnsServer, ZoneRecord};
use relais_net::resolver::{Resolver, ResolverOptions};
use relais_smtp::domain::Domain;

use crate::support::{PATIENCE, Place, Server};

/// The name server of contoso.test, which is the configured resolver too.
pub(crate) struct Registrar {
    server: DnsServer,
    _runtime: Runtime,
}

impl Registrar {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The TXT records of contoso.test from now on.
    pub(crate) fn publish(&self, texts: &[&str]) {
        self.publish_with(texts, &[]);
    }

    /// And these of other names.
    pub(crate) fn publish_with(&self, texts: &[&str], others: &[(&str, ZoneRecord)]) {
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
        records.extend(others.iter().cloned());
        let records = records.into_iter().map(|(name, it)| (name.to_owned(), it));
        self.server
            .replace(&records.collect::<Vec<_>>())
            .expect("names");
    }

    pub(crate) fn serve(&self, mode: &str) -> Server {
        self.serve_with(mode, "", "")
    }

    /// With more at the top of the file and of `[deliver]`.
    pub(crate) fn serve_with(&self, mode: &str, top: &str, deliver: &str) -> Server {
        self.serve_all(mode, (top, deliver, ""))
    }

    /// And with more of `[dns]`.
    pub(crate) fn serve_all(&self, mode: &str, (top, deliver, dns): (&str, &str, &str)) -> Server {
        let address = self.server.address();
        let port = address.port();
        Place::new(&format!(
            "{top}[dns]\nnameservers = [\"{address}\"]\nauthoritative_port = {port}\nblocklists = [\"list.test\"]\n\
             {dns}[deliver]\nallow_private_destinations = true\n{deliver}"
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

#[test]
fn an_address_is_looked_at_before_it_becomes_a_connectors() {
    let registrar = Registrar::new();
    let records = [
        (
            "142.69.2.81.in-addr.arpa",
            ZoneRecord::Pointer("pool-81-2-69-142.provider.example".to_owned()),
        ),
        (
            "142.69.2.81.list.test",
            ZoneRecord::Address([127, 0, 0, 2].into()),
        ),
        (
            "25.69.2.81.in-addr.arpa",
            ZoneRecord::Pointer("mail.contoso.test".to_owned()),
        ),
    ];
    let records = records.map(|(name, record)| (name.to_owned(), record));
    registrar.server.replace(&records).expect("names");
    let server = registrar.serve("lan");
    server.apply(SITE).expect(0);
    let check = |address: &str| {
        let arguments = ["--json", "connector", "inbound", "check", address];
        server.relais(&arguments)
    };
    let covered = check("127.0.0.1").expect(0).json();
    let detail = covered["connector"]["detail"].as_str().expect("words");
    assert!(detail.ends_with("nothing more to configure."), "{detail}");
    assert_eq!(covered["connector"]["state"], "enabled");
    let bad = check("81.2.69.142").expect(4).json();
    let verdicts = bad["checks"].as_array().expect("checks").iter();
    let verdicts = verdicts.map(|one| format!("{} {}", one["check"], one["verdict"]));
    assert_eq!(
        verdicts.collect::<Vec<_>>(),
        [
            "\"range\" \"good\"",
            "\"dynamic\" \"bad\"",
            "\"blocklist\" \"bad\""
        ]
    );
    assert_eq!(check("81.2.69.25").expect(0).json()["ok"], true);
    check("printer").expect(2);
    let told = server.relais(&["connector", "inbound", "check", "81.2.69.142"]);
    assert!(told.expect(4).out.contains("looks dynamic"));
}

#[test]
fn a_client_is_known_by_a_name_that_leads_to_its_address() {
    let registrar = Registrar::new();
    let record = |address| {
        let name = "copier.dyn.example".to_owned();
        vec![(name, ZoneRecord::Address(address))]
    };
    registrar
        .server
        .replace(&record(Ipv4Addr::LOCALHOST.into()))
        .expect("names");
    let server = registrar.serve("lan");
    let by_name = SITE.replace(
        "sender_ip_addresses = [\"127.0.0.1\"]",
        "sender_dns_names = [\"copier.dyn.example\"]\n[[organisation.domain]]\nname = \
         \"contoso.test\"\nverification = \"assumed\"",
    );
    server.apply(&by_name).expect(0);
    server.log.wait_for("the name", |line| {
        line.contains("a client's name leads elsewhere")
    });
    let show = ["--json", "connector", "inbound", "show", "Printers"];
    let shown = server.relais(&show).expect(0).json();
    assert_eq!(shown["dns_names"][0]["addresses"][0], "127.0.0.1");
    let begun = std::time::Instant::now();
    let simulate = [
        "--json",
        "simulate",
        "--ip",
        "127.0.0.1",
        "--from",
        "a@contoso.test",
    ];
    let simulate = [&simulate[..], &["--to", "b@example.org"]].concat();
    let answer = loop {
        let answer = server.relais(&simulate).expect(0).json();
        if answer["verdict"] == "permit" && !answer["inbound_connector"].is_null() {
            break answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer}");
    };
    assert_eq!(
        answer["steps"][0]["answer"],
        "ip 127.0.0.1 of copier.dyn.example"
    );
    server.send("a@contoso.test", "b@example.org");
}

/// What receivers would see, and what is not good, as `domain check` tells it.
fn checked(server: &Server, code: i32) -> (Vec<String>, Vec<String>) {
    let check = ["--json", "domain", "check", "contoso.test"];
    let answer = server.relais(&check).expect(code).json();
    let list = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let wrong = list("checks").into_iter().filter(|one| one["ok"] == false);
    let wrong = wrong.map(|one| format!("{} {}", word(&one["check"]), word(&one["finding"])));
    let seen = list("alignment")
        .into_iter()
        .map(|one| word(&one["detail"]));
    (seen.collect(), wrong.collect())
}

#[test]
fn a_desk_proposes_the_merged_record_and_tells_when_what_receivers_see_changes() {
    let registrar = Registrar::new();
    let server = registrar.serve_with("lan", "", "source_addresses = [\"192.0.2.25\"]\n");
    let site = SITE.split("[[organisation.outbound_connector]]").next();
    // Keys are made by the side, sooner or later, and would be missing in DNS from then on.
    let domain = "[[organisation.domain]]\nname = \"contoso.test\"\ndkim = { enabled = false }\n";
    server
        .apply(&(site.expect("a part").to_owned() + domain))
        .expect(0);
    let record = record(&server, &[]);
    let text = |text: &str| ZoneRecord::Text(text.to_owned());
    let included = ("spf.test", text("v=spf1 ip4:198.51.100.7 -all"));
    registrar.publish_with(
        &[&record, "v=spf1 include:spf.test -all"],
        std::slice::from_ref(&included),
    );
    let (seen, wrong) = checked(&server, 4);
    assert_eq!(
        seen,
        ["Printers by MX: Gmail will see SPF fail, DKIM none, DMARC none."]
    );
    assert!(wrong.contains(&"spf wrong".to_owned()), "{wrong:?}");
    let merged = "v=spf1 include:spf.test ip4:192.0.2.25 -all";
    let zone = server.relais(&["domain", "records", "contoso.test", "--format", "zone"]);
    let zone = zone.expect(0).out;
    assert!(
        zone.contains(&format!("contoso.test. 3600 IN TXT \"{merged}\"")),
        "{zone}"
    );
    let listed = server.relais(&["domain", "list"]).expect(0).out;
    assert!(listed.contains("spf"), "{listed}");

    let policy = ("_dmarc.contoso.test", text("v=DMARC1; p=reject"));
    registrar.publish_with(&[&record, merged], &[included, policy]);
    let (seen, wrong) = checked(&server, 0);
    let expected =
        "Printers by MX: Gmail will see SPF pass aligned, DKIM none, DMARC pass (p=reject).";
    assert_eq!((seen, wrong), (vec![expected.to_owned()], vec![]));
    server.log.wait_for("the change", |line| {
        line.contains("check.changed") && line.contains("spf is good, was wrong")
    });
    let audit = server
        .relais(&["--json", "audit", "list"])
        .expect(0)
        .json_lines();
    assert!(
        audit
            .iter()
            .any(|entry| entry["act"] == "domain.dns-changed"),
        "{audit:?}"
    );
    let shown = server
        .relais(&["domain", "check", "contoso.test"])
        .expect(0)
        .out;
    assert!(
        shown.contains("2 of 10 look-ups") || shown.contains("1 of 10 look-ups"),
        "{shown}"
    );
}

#[test]
fn a_private_domain_is_well_without_being_published() {
    let registrar = Registrar::new();
    let server = registrar.serve_with("lan", "", "source_addresses = [\"192.0.2.25\"]\n");
    server.apply(SITE).expect(0);
    let add = ["domain", "add", "contoso.test", "--assume"];
    server.relais(&add).expect(0);
    checked(&server, 0);
}

/// What `dig` says, where it is at hand: a program that is not ours.
fn dig(address: SocketAddr, arguments: &[&str]) -> Option<String> {
    let mut command = std::process::Command::new("dig");
    command.arg(format!("@{}", address.ip()));
    command.args(["-p", &address.port().to_string(), "+tries=1", "+time=5"]);
    let output = command.args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// NSD, unpacked beside the other tools, reads what we propose in a zone of contoso.test.
fn loads_in_a_name_server(records: &str) {
    let tools = std::env::var_os("RELAIS_TOOLS").unwrap_or_default();
    let check = std::path::PathBuf::from(tools).join("nsd/usr/sbin/nsd-checkzone");
    if !check.exists() {
        eprintln!("SKIPPED: no nsd in RELAIS_TOOLS");
        return;
    }
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("contoso.test.zone");
    let head = "$ORIGIN contoso.test.\n@ 3600 IN SOA ns hostmaster 1 3600 600 86400 60\n\
                @ 3600 IN NS ns\nns 3600 IN A 192.0.2.53\n";
    std::fs::write(&file, format!("{head}{records}")).expect("room");
    let output = std::process::Command::new(check)
        .arg("contoso.test")
        .arg(&file)
        .output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{complaints}{records}");
    assert!(
        said.contains("zone contoso.test is ok"),
        "{said}{complaints}"
    );
}

#[test]
fn a_zone_of_our_own_is_served_to_strangers_and_customers_lead_to_it() {
    let registrar = Registrar::new();
    // A port that is free for UDP and TCP.
    let address = Registrar::new().server.address();
    let zone = format!(
        "[authoritative_dns]\naddress = \"{address}\"\nzone = \"relay.provider.test\"\n\
         name_servers = [\"ns1.relay.provider.test\"]\naddresses = [\"192.0.2.25\"]\n"
    );
    let deliver = "source_addresses = [\"192.0.2.25\", \"2001:db8::25\"]\n";
    let server = registrar.serve_with("lan", &zone, deliver);
    let site = SITE.split("[[organisation.outbound_connector]]").next();
    let domain = "[[organisation.domain]]\nname = \"contoso.test\"\n\
                  bounce_domain = \"bounce.contoso.test\"\n";
    server
        .apply(&(site.expect("a part").to_owned() + domain))
        .expect(0);
    registrar.publish(&[&record(&server, &[])]);
    server
        .relais(&["domain", "verify", "contoso.test"])
        .expect(0);
    let begun = std::time::Instant::now();
    // Keys are made by themselves.
    let records = loop {
        let records = ["domain", "records", "contoso.test", "--format", "zone"];
        let records = server.relais(&records).expect(0).out;
        if records.contains(".dkim.relay.provider.test.") {
            break records;
        }
        assert!(begun.elapsed() < PATIENCE, "{records}");
    };
    for line in [
        "bounce.contoso.test. 3600 IN CNAME bounce.relay.provider.test.",
        "contoso.test. 3600 IN TXT \"v=spf1 include:spf.relay.provider.test ~all\"",
    ] {
        assert!(records.contains(line), "{line}: {records}");
    }
    loads_in_a_name_server(&records);

    let runtime = Runtime::new().expect("a runtime");
    let options = ResolverOptions {
        nameservers: vec![address],
        trusted: false,
    };
    let resolver = runtime.block_on(async { Resolver::new(&options) });
    let resolver = resolver.expect("a resolver");
    let name = |name: &str| Domain::parse(name).expect("a name");
    let spf = "v=spf1 ip4:192.0.2.25 ip6:2001:db8::25 -all";
    let begun = std::time::Instant::now();
    let included = name("spf.relay.provider.test");
    loop {
        let texts = resolver.texts_at(address, &included);
        match runtime.block_on(texts) {
            Ok(texts) => break assert_eq!(texts.records, [spf]),
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
    }
    let mx = runtime.block_on(resolver.mx_at(address, &name("bounce.relay.provider.test")));
    let mx = mx.expect("it has one").records;
    assert_eq!(mx[0].exchange, Some(name("relay.contoso.test")));
    let is_key = |word: &&str| word.contains(".dkim.relay.provider.test");
    let key = records.split_whitespace().find(is_key).expect("a target");
    let key = name(key.trim_end_matches('.'));
    let begun = std::time::Instant::now();
    let shown = loop {
        match runtime.block_on(resolver.texts_at(address, &key)) {
            Ok(shown) => break shown.records,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
    };
    assert!(shown[0].starts_with("v=DKIM1; k="), "{shown:?}");
    let others = runtime.block_on(resolver.texts_at(address, &name("contoso.test")));
    assert!(others.is_err(), "names of others are refused");

    for over in ["+notcp", "+tcp"] {
        let Some(said) = dig(address, &[over, "relay.provider.test", "SOA"]) else {
            eprintln!("SKIPPED: no dig");
            return;
        };
        assert!(
            said.contains("status: NOERROR") && said.contains("flags: qr aa rd;"),
            "{said}"
        );
        assert!(
            said.contains("ns1.relay.provider.test. hostmaster.relay.provider.test."),
            "{said}"
        );
    }
    let servers = dig(address, &["relay.provider.test", "NS"]).unwrap_or_default();
    assert!(
        servers.contains("192.0.2.25"),
        "with the address: {servers}"
    );
    let transfer = dig(address, &["relay.provider.test", "AXFR"]).unwrap_or_default();
    assert!(transfer.contains("Transfer failed"), "{transfer}");
    let any = dig(address, &["+notcp", "bounce.relay.provider.test", "ANY"]).unwrap_or_default();
    assert!(any.contains("ANSWER: 1,"), "{any}");
}
